/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/absent.c - a library that a plugin is linked with and that its user does not have.
 */
int backplane_absent(void);

int backplane_absent(void)
{
    return -1;
}
