/// A plain word of the configuration, and what it is in both schemes: `burglary` is `BA`, Contact ID 130.
///
/// The rows are `data/kinds.csv`; `docs/events.md` shows them.
public struct EventKind: Sendable, Hashable {
    /// What the number sent beside the code means.
    public enum Address: String, Sendable {
        case zone, user, none
    }

    /// The word: lower case, joined by dashes.
    public let name: String
    public let swedish: String
    public let english: String
    /// The SIA code when it begins.
    public let sia: String
    /// The SIA code when it ends; nil where the trade has none.
    public let siaRestore: String?
    /// The Contact ID event when it begins.
    public let contactID: String
    /// Usually `.event`. Arming is said with `.restore`, for Contact ID calls it a closing.
    public let eventQualifier: Qualifier
    /// The Contact ID event when it ends: usually `contactID` again. Nil exactly when `siaRestore` is.
    public let contactIDRestore: String?
    public let restoreQualifier: Qualifier?
    /// How soon somebody must act when it begins. Its end is always `.status`.
    public let urgency: Urgency
    public let address: Address

    /// What one row of the table says, in the order of its columns.
    init(
        _ name: String, _ swedish: String, _ english: String, _ sia: String, _ siaRestore: String?,
        _ contactID: String, _ eventQualifier: Qualifier, _ contactIDRestore: String?, _ restoreQualifier: Qualifier?,
        _ urgency: Urgency, _ address: Address
    ) {
        self.name = name
        self.swedish = swedish
        self.english = english
        self.sia = sia
        self.siaRestore = siaRestore
        self.contactID = contactID
        self.eventQualifier = eventQualifier
        self.contactIDRestore = contactIDRestore
        self.restoreQualifier = restoreQualifier
        self.urgency = urgency
        self.address = address
    }

    /// Every kind, in the order of the names.
    public static var all: [EventKind] { KindTable.all }

    /// The kind of this name, exactly as written in the configuration.
    public static func named(_ name: String) -> EventKind? {
        let found = KindTable.all.lowerBound(comesBefore: { $0.name < name })
        return found.flatMap { $0.name.utf8.elementsEqual(name.utf8) ? $0 : nil }
    }

    /// What is said when it begins, and when it ends. Nil for the end of a kind that has none, such as a test.
    public func codes(began: Bool) -> Vocabulary.Saying? {
        if began { return (sia, contactID, eventQualifier, urgency) }
        guard let siaRestore, let contactIDRestore, let restoreQualifier else { return nil }
        return (siaRestore, contactIDRestore, restoreQualifier, .status)
    }
}
