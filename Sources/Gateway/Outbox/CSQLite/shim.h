#pragma once
#include <sqlite3.h>

// Swift cannot call functions with a variable number of arguments.
static inline int larmnod_no_checkpoint_on_close(sqlite3 *connection) {
    return connection ? sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0) : SQLITE_OK;
}
