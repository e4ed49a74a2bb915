// A TOML document as a plain list of nodes: what Swift needs of toml++, without C++ or its exceptions.
#ifndef CTOML_H
#define CTOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ctoml_kind {
    CTOML_TABLE,
    CTOML_ARRAY,
    CTOML_STRING,
    CTOML_INTEGER,
    CTOML_NUMBER,
    CTOML_BOOLEAN,
    CTOML_DATE,
    CTOML_TIME,
    CTOML_DATE_TIME,
} ctoml_kind;

/// Bytes in UTF-8, not ended by a zero: a TOML text may contain one.
typedef struct ctoml_text {
    const char *bytes;
    size_t count;
} ctoml_text;

/// One value. Lines and columns count from 1, columns in characters.
typedef struct ctoml_node {
    ctoml_kind kind;
    /// Empty in an array and for the document itself.
    ctoml_text key;
    ctoml_text string;
    int64_t integer;
    double number;
    bool boolean;
    /// How many nodes stand directly in this one. They follow it, each followed by its own, in the order of the file.
    size_t children;
    uint32_t line;
    uint32_t column;
} ctoml_node;

/// Why a document could not be read.
typedef struct ctoml_error {
    char message[512];
    uint32_t line;
    uint32_t column;
} ctoml_error;

typedef struct ctoml_document ctoml_document;

enum {
    /// Parts of a dotted name, and tables and lists within each other. Deeper is refused: toml++ works by recursion.
    CTOML_MOST_NAME_PARTS = 16,
    CTOML_MOST_NESTED = 32,
    /// Values in one document, tables included.
    CTOML_MOST_NODES = 20000,
};

/// Reads a document. NULL when it is not valid TOML or exceeds a limit, with `error` filled in. Never throws.
ctoml_document *ctoml_parse(const char *bytes, size_t count, ctoml_error *error);

/// The nodes, the document's own table first. They and their texts live until `ctoml_free`.
const ctoml_node *ctoml_nodes(const ctoml_document *document, size_t *count);

void ctoml_free(ctoml_document *document);

#ifdef __cplusplus
}
#endif

#endif
