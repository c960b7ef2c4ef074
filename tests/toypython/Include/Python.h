/* Enough of Python.h for extension modules with one function (stable since 3.8). */
#include <stddef.h>
#include "pyconfig.h"

typedef struct { ptrdiff_t count; void *type; } PyObject;
typedef struct {
    const char *name;
    PyObject *(*function)(PyObject *, PyObject *);
    int flags;
    const char *doc;
} PyMethodDef;
struct PyModuleDef {
    struct { PyObject ob; PyObject *(*init)(void); ptrdiff_t index; PyObject *copy; } base;
    const char *name, *doc;
    ptrdiff_t size;
    PyMethodDef *methods;
    void *slots, *traverse, *clear, *free;
};
#define PyModuleDef_HEAD_INIT {{1, NULL}, NULL, 0, NULL}
#define PyMODINIT_FUNC __attribute__((visibility("default"))) PyObject *
#define METH_NOARGS 4
PyObject *PyLong_FromLong(long);
PyObject *PyModule_Create2(struct PyModuleDef *, int);
#define PyModule_Create(module) PyModule_Create2(module, 1013)
