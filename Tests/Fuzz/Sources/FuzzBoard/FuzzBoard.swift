import Drivers

/// What libFuzzer calls: the input as a board file, and as a site's whose points name the board's terminals. A trap, a
/// refusal without words or a run of more than a few seconds is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    let problems = Problems()
    guard let tree = TOML.tree(of: input, file: "fuzz.toml", problems: problems) else {
        precondition(!problems.all.isEmpty, "it is refused without a word")
        return 0
    }
    let board = Board.read(tree, problems: problems)
    var resolver = TerminalResolver(board: board, boardIsNamed: true, problems: problems)
    _ = resolver.resolve(tree)
    for problem in problems.all {
        precondition(problem.place.line >= 0 && !shown(problem.description).isEmpty)
    }
    return 0
}
