import CLinux
import Glibc

/// A thread of the operating system with a name, for code that blocks: drivers, housekeeping, control.
/// Not for the concurrency runtime's pool, which blocking code would starve.
struct WorkerThread: Sendable {
    private let handle: pthread_t

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        let name: String
        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// - Throws: `ThreadError` when the operating system gives no thread.
    init(_ name: String, _ run: @escaping @Sendable () -> Void) throws {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // Drivers are straight-line code; 512 KB of address space is ample and 64 of them cost nothing.
        pthread_attr_setstacksize(&attributes, 512 * 1024)
        let body = Unmanaged.passRetained(Body(name, run))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, &attributes,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                // The kernel keeps 15 characters.
                pthread_setname_np(pthread_self(), String(body.name.suffix(15)))
                body.run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw ThreadError(description: "no thread for \(name): \(systemWords(code))")
        }
        self.handle = handle
    }

    /// Waits for its end. Either this or `detach` is called once for each thread, or its stack is never given back.
    func join() { pthread_join(handle, nil) }

    /// Lets it end by itself.
    func detach() { pthread_detach(handle) }
}

struct ThreadError: Error, CustomStringConvertible {
    var description: String
}
