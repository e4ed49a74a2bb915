import CSQLite
import Glibc

/// What SQLite refused, in its own words, with the file it concerns.
struct DatabaseError: Error, Sendable, CustomStringConvertible {
    var code: Int32
    var description: String

    /// What SQLite itself would not notice.
    static func damage(_ words: String) -> DatabaseError { DatabaseError(code: SQLITE_CORRUPT, description: words) }

    /// The file itself is wrong, not the moment: it must be set aside.
    var isDamage: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB].contains(code & 0xFF) }
    /// The disk could not be read, or not be written.
    var isUnreadable: Bool { code & 0xFF == SQLITE_IOERR }
    /// There is no room.
    var isFull: Bool { code & 0xFF == SQLITE_FULL }
}

/// One connection to an SQLite file: the few calls that the outbox needs, with errors thrown and statements kept.
/// Not Sendable: whoever owns it sees to it that one thread at a time uses it.
final class Database {
    private var handle: OpaquePointer?
    private var statements: [String: OpaquePointer] = [:]
    let file: String

    enum Access { case readWrite, readOnly }

    init(_ file: String, _ access: Access = .readWrite) throws(DatabaseError) {
        self.file = file
        var handle: OpaquePointer?
        let flags =
            access == .readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        let code = sqlite3_open_v2(file, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let handle else {
            let words = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(handle)
            throw DatabaseError(code: code, description: "\(file): \(words)")
        }
        self.handle = handle
        sqlite3_busy_timeout(handle, 1000)
    }

    deinit { close() }

    /// Ends the connection; whatever is asked of it later is refused. Leaves a write-ahead log as it is.
    func close() {
        for statement in statements.values { sqlite3_finalize(statement) }
        statements = [:]
        larmnod_no_checkpoint_on_close(handle)
        sqlite3_close_v2(handle)
        handle = nil
    }

    private func connection() throws(DatabaseError) -> OpaquePointer {
        guard let handle else { throw DatabaseError(code: SQLITE_MISUSE, description: "\(file): closed") }
        return handle
    }

    private func error(_ code: Int32) -> DatabaseError {
        var words = String(cString: sqlite3_errmsg(handle))
        // SQLite's "disk I/O error" hides why: the operating system's own number says whether the card or the space is
        // at fault.
        let number = sqlite3_system_errno(handle)
        if code & 0xFF == SQLITE_IOERR, number != 0 { words += " (\(String(cString: strerror(number))))" }
        // ENOSPC reaches us as an I/O error when it strikes in the shared-memory file.
        let full = code & 0xFF == SQLITE_IOERR && number == ENOSPC
        return DatabaseError(code: full ? SQLITE_FULL : code, description: "\(file): \(words)")
    }

    /// Runs statements that take and give nothing.
    func execute(_ sql: String) throws(DatabaseError) {
        let code = sqlite3_exec(try connection(), sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code) }
    }

    /// Runs one statement, kept prepared for the next time; calls `row` for each row until it returns false.
    func run(
        _ sql: String, _ values: [Value] = [], row: (borrowing Row) -> Bool = { _ in true }
    ) throws(DatabaseError) {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() { bind(value, to: statement, at: Int32(index + 1)) }
        while true {
            let code = sqlite3_step(statement)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw error(code) }
            if !row(Row(statement: statement)) { return }
        }
    }

    /// One number, or nil where there is no row or the value is NULL.
    func number(_ sql: String, _ values: [Value] = []) throws(DatabaseError) -> Int64? {
        var result: Int64?
        try run(sql, values) { row in
            result = row.optionalInteger(0)
            return false
        }
        return result
    }

    func text(_ sql: String) throws(DatabaseError) -> String? {
        var result: String?
        try run(sql) { row in
            result = row.text(0)
            return false
        }
        return result
    }

    /// Copies what the write-ahead log holds into the file, as far as it can without making anybody wait.
    func checkpoint(mode: Int32 = SQLITE_CHECKPOINT_PASSIVE) throws(DatabaseError) {
        let code = sqlite3_wal_checkpoint_v2(try connection(), nil, mode, nil, nil)
        guard code == SQLITE_OK || code & 0xFF == SQLITE_BUSY else { throw error(code) }
    }

    /// Leaves the write-ahead log's file where it is when the connection closes: its room is on the disk already, so that
    /// a commit need not wait for the file system to note a new length as well.
    func keepLog() {
        var on: Int32 = 1
        sqlite3_file_control(handle, nil, SQLITE_FCNTL_PERSIST_WAL, &on)
    }

    private func prepared(_ sql: String) throws(DatabaseError) -> OpaquePointer {
        if let statement = statements[sql] { return statement }
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(try connection(), sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw error(code) }
        statements[sql] = statement
        return statement
    }

    private func bind(_ value: Value, to statement: OpaquePointer, at index: Int32) {
        switch value {
        case .null: sqlite3_bind_null(statement, index)
        case .integer(let number): sqlite3_bind_int64(statement, index, number)
        case .text(var text):
            // SQLITE_TRANSIENT, which Swift cannot import: SQLite makes its own copy.
            let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            _ = text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    sqlite3_bind_text(statement, index, $0.baseAddress, Int32(clamping: $0.count), transient)
                }
            }
        }
    }

    enum Value: Sendable {
        case null
        case integer(Int64)
        case text(String)
    }

    /// The current row of a statement; valid only inside the call that got it.
    struct Row: ~Copyable {
        fileprivate let statement: OpaquePointer

        func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
        func optionalInteger(_ column: Int32) -> Int64? {
            sqlite3_column_type(statement, column) == SQLITE_NULL ? nil : integer(column)
        }
        func text(_ column: Int32) -> String { optionalText(column) ?? "" }
        func optionalText(_ column: Int32) -> String? {
            guard let start = sqlite3_column_text(statement, column) else { return nil }
            let count = Int(sqlite3_column_bytes(statement, column))
            return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
        }
    }
}
