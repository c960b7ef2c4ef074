/* All that the toy's libpython holds. */
int toy_answer(void);

int toy_answer(void)
{
    return 42;
}
