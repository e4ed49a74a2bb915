/// The planted bugs, each asleep until its number is called: there are none in this program. scripts/mutations/plant.py
/// replaces this file where there are.
enum Mutants {
    nonisolated(unsafe) static var awake = 0
}
