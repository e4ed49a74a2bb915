// What Linux has and Swift's Glibc module leaves out.
#pragma once
#include <malloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/timex.h>

// <pthread.h> shows it only under _GNU_SOURCE, which cannot be set for a module that others have read before.
int pthread_setname_np(pthread_t thread, const char *name);
