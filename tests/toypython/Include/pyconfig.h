/* The toy's configuration. */
#define TOY_PYTHON 1
