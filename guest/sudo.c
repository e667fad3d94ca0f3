/* sudo for the test guest: everybody may, without a password. Takes -n, -E, -H, -S, -i, -u USER and --. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *user = "root";
    int login = 0, i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--")) { i++; break; }
        if (!strcmp(argv[i], "-u") && i + 1 < argc) user = argv[++i];
        else if (!strcmp(argv[i], "-i") || !strcmp(argv[i], "-s")) login = 1;
        else if (strcmp(argv[i], "-n") && strcmp(argv[i], "-E") && strcmp(argv[i], "-H") && strcmp(argv[i], "-S")) {
            fprintf(stderr, "sudo: unknown option %s\n", argv[i]);
            return 1;
        }
    }
    /* Not getpwnam: a static program has no name services. */
    FILE *users = fopen("/etc/passwd", "r");
    struct passwd *who = NULL;
    while (users && (who = fgetpwent(users)) && strcmp(who->pw_name, user)) { }
    if (!who) { fprintf(stderr, "sudo: unknown user %s\n", user); return 1; }
    if (setgid(who->pw_gid) || setgroups(0, NULL) || setuid(who->pw_uid)) { perror("sudo"); return 1; }
    setenv("HOME", who->pw_dir, 1);
    setenv("USER", user, 1);
    setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
    if (i >= argc) {
        if (!login) { fprintf(stderr, "usage: sudo [-n] [-u user] command\n"); return 1; }
        execl("/bin/sh", "-sh", (char *)NULL);
    } else {
        execvp(argv[i], argv + i);
    }
    perror(argv[i] ? argv[i] : "/bin/sh");
    return 127;
}
