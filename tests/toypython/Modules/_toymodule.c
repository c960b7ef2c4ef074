/* A stdlib extension module of the toy. */
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    return PyLong_FromLong(42);
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_toy", "", -1, methods};

PyMODINIT_FUNC PyInit__toy(void)
{
    return PyModule_Create(&module);
}
