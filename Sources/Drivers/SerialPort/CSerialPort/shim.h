#pragma once
#include <libserialport.h>
#include <linux/serial.h>
#include <sys/ioctl.h>

// ioctl's last argument varies, which Swift does not call with a structure of the kernel's.

/// TIOCSRS485. 0, or -1 with errno.
static inline int larmnod_set_rs485(int port, const struct serial_rs485 *wanted) {
    struct serial_rs485 copy = *wanted;
    return ioctl(port, TIOCSRS485, &copy);
}

/// TIOCGRS485. 0, or -1 with errno.
static inline int larmnod_get_rs485(int port, struct serial_rs485 *now) { return ioctl(port, TIOCGRS485, now); }

/// TIOCGICOUNT. 0, or -1 with errno.
static inline int larmnod_get_counts(int port, struct serial_icounter_struct *counts) {
    return ioctl(port, TIOCGICOUNT, counts);
}
