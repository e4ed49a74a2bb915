/// What a start finds of a move: it goes on, is done because the site file names the new centre, or cannot go on and the
/// site file holds. A start never fails for it.
struct MoveStart: Sendable {
    var move: CentreMove.Record?
    /// The moved receiver's paths as the move has them.
    var new: [PathSettings] = []
    /// The receiver of a move that is kept, and whose settings cannot be used now.
    var unusable: String?
    /// What is to be told, as an event.
    var news: [BoxTrouble] = []

    /// Reads what is kept, and forgets what has no meaning any more.
    static func read(_ file: MoveFile, site: Site, now: Int64) -> MoveStart {
        switch file.read() {
        case .none: return MoveStart()
        case .unusable(let why, let isDamaged):
            if isDamaged { file.setAside() }
            return MoveStart(news: [
                .centreMove(
                    failed: true, text: "what was kept of a centre's move \(why): the site file's receivers count")
            ])
        case .record(let record): return go(on: record, file, site, now)
        }
    }

    private static func go(on record: CentreMove.Record, _ file: MoveFile, _ site: Site, _ now: Int64) -> MoveStart {
        let name = record.receiver
        let addresses = site.addresses(of: name)
        func forget(failed: Bool, _ text: String) -> MoveStart {
            try? file.remove()
            return MoveStart(news: [.centreMove(failed: failed, text: text)])
        }
        if addresses == record.to {
            return forget(failed: false, "the site file names the new centre of \(name): the move is done")
        }
        guard addresses == record.from else {
            let found = addresses.isEmpty ? "no path to \(name)" : addresses.joined(separator: ", ")
            return forget(failed: true, "the site file has changed (\(found)): the move of \(name) is given up")
        }
        let new: [PathSettings]
        do throws(ControlRefusal) {
            new = try CentreSettings.read(record.settings, from: file.path, receiver: name, site: site)
        } catch {
            // It stays for the next start: a key file that is missing may come back.
            return MoveStart(
                unusable: name,
                news: [
                    .centreMove(
                        failed: true, text: "the new centre of \(name) cannot be used, the old one counts: \(error)")
                ])
        }
        var start = MoveStart(move: record, new: new)
        guard record.phase == .shadow else { return start }
        start.news = [
            .centreMove(failed: false, text: "after a restart the trial of \(name)'s new centre begins again"),
            .centreMoveTest(text: "test beside the move of \(name)"),
        ]
        return start
    }
}
