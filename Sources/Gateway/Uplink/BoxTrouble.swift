import AlarmProtocol

/// What the box has to say of itself; made into an event like any device's signal (promise 5).
enum BoxTrouble: Sendable, Equatable {
    case path(String, isDown: Bool, text: String)
    /// The receiver goes on rejecting our time, or takes it (again).
    case clockRejected(path: String, isRejected: Bool)
    case parked(sequence: Int, point: String, why: String)
    case clock(isKnown: Bool)
    /// A certificate of a path expires within 30 days, or has expired.
    case certificate(point: String, isActive: Bool, text: String)
    case outbox(Outbox.Notice)
    case started(afterCleanStop: Bool)
    /// Made by whoever noticed it: a state of its own, told when it changes.
    case made(NewEvent)
    /// A step of a centre's move, or that it went wrong; and the test at its beginning.
    case centreMove(failed: Bool, text: String)
    case centreMoveTest(text: String)
    /// The path works with its old key only, or with the new one again.
    case oldKey(path: String, inUse: Bool)
    /// Frames came in the place of replies, or have not for an hour.
    case strangeReplies(path: String, began: Bool, text: String)

    /// The point of reports on undeliverable events.
    static let parkedPoint = "larmnod.parked"
    /// The point of a move's test.
    static let moveTestPoint = "larmnod.move.test"

    /// The points of what a path tells beside its being up or down.
    static func keyPoint(_ path: String) -> String { "path.\(path).key" }
    static func repliesPoint(_ path: String) -> String { "path.\(path).replies" }

    /// The event, for the site's own account. `known` gives the last stored state of a point: a trouble that stands is
    /// not told again. Nil where there is nothing new to tell.
    func event(account: String, now: Moment, known: (String) -> Bool?) -> NewEvent? {
        func lasting(_ point: String, _ kind: EventKind, _ active: Bool, _ text: String) -> NewEvent? {
            guard active != (known(point) ?? false) else { return nil }
            return NewEvent(make(point, kind, active, text), active: active)
        }
        func make(_ point: String, _ kind: EventKind, _ began: Bool, _ text: String) -> Event {
            let codes = kind.saying(began: began)
            return Event(
                account: account, point: point, sia: codes.sia, contactID: codes.contactID,
                qualifier: codes.qualifier, urgency: codes.urgency, text: text.limited, occurred: now)
        }
        switch self {
        case .path(let name, let isDown, let text):
            return lasting("path.\(name)", Kinds.pathDown, isDown, "path \(name): \(text)")
        case .clockRejected(let path, let isRejected):
            return lasting(
                "larmnod.clock.\(path)", Kinds.clockUnknown, isRejected,
                "path \(path): the receiver \(isRejected ? "rejects our time" : "takes our time again")")
        case .parked(let sequence, let point, let why):
            return NewEvent(
                make(
                    Self.parkedPoint, Kinds.eventParked, true,
                    "event \(sequence) of \(point) could not be delivered: \(why)"))
        case .clock(let isKnown):
            return lasting(
                "larmnod.clock", Kinds.clockUnknown, !isKnown,
                isKnown ? "the clock is set" : "the clock is not set: times are uncertain, the order is kept")
        case .certificate(let point, let isActive, let text):
            return lasting(point, Kinds.certificateExpiring, isActive, text)
        case .made(let new): return new.active == (known(new.event.point) ?? false) ? nil : new
        case .outbox(let notice): return outboxEvent(notice, lasting, make)
        case .centreMove(let failed, let text):
            return NewEvent(make("larmnod.move", failed ? Kinds.centreMoveFailed : Kinds.centreMove, true, text))
        case .centreMoveTest(let text): return NewEvent(make(Self.moveTestPoint, Kinds.manualTest, true, text))
        case .oldKey(let path, let inUse):
            return lasting(
                Self.keyPoint(path), Kinds.oldKeyInUse, inUse,
                inUse
                    ? "path \(path): the receiver takes the old key only; the new one is tried every 15 min"
                    : "path \(path): the old key is not in use")
        case .strangeReplies(let path, let began, let text):
            return lasting(Self.repliesPoint(path), Kinds.strangeReplies, began, "path \(path): \(text)")
        case .started(let clean):
            return NewEvent(
                clean
                    ? make("larmnod.start", Kinds.powerUp, true, "larmnod started")
                    : make("larmnod.start", Kinds.restart, true, "larmnod started after it was cut off"))
        }
    }

    private func outboxEvent(
        _ notice: Outbox.Notice, _ lasting: (String, EventKind, Bool, String) -> NewEvent?,
        _ make: (String, EventKind, Bool, String) -> Event
    ) -> NewEvent? {
        switch notice {
        case .damaged(let kept, let lost, let file):
            let name = file.split(separator: "/").last.map(String.init) ?? file
            return NewEvent(
                make(
                    "larmnod.store", Kinds.storeDamaged, true,
                    "the event store was damaged: \(kept) events kept, \(lost) known lost; set aside as \(name)"))
        case .filling(let percent):
            return lasting("larmnod.queue", Kinds.queueFilling, true, "events waiting: \(percent) % of the limit")
        case .drained: return lasting("larmnod.queue", Kinds.queueFilling, false, "events waiting: below 25 % again")
        case .cannotWrite(let why): return lasting("larmnod.disk", Kinds.diskFailing, true, why)
        case .canWriteAgain: return lasting("larmnod.disk", Kinds.diskFailing, false, "events can be stored again")
        case .cannotRead(let why): return lasting("larmnod.disk.reading", Kinds.diskFailing, true, why)
        case .canReadAgain:
            return lasting("larmnod.disk.reading", Kinds.diskFailing, false, "what waits can be read again")
        }
    }
}
