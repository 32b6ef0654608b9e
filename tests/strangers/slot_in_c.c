/* A start-up probe as somebody writes it in C who knows the contract `slot` and nothing else of the
 * suite. cc -o slot slot_in_c.c */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY = 0, CRASHED = 1, CLI_BROKEN = 64, CREDS_MISSING = 65, CREDS_INVALID = 66 };

static pid_t cli;

static void out_of_time(int signal_number)
{
    (void)signal_number;
    kill(-cli, SIGKILL);
}

/* Whether `AGENT --version` exits 0 within 10 seconds. */
static bool cli_runs(const char *agent)
{
    cli = fork();
    if (cli < 0)
        exit(CRASHED);
    if (cli == 0) {
        setpgid(0, 0);
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++)
            dup2(null, fd);
        execlp(agent, agent, "--version", (char *)NULL);
        _exit(127);
    }
    setpgid(cli, cli);
    struct sigaction late = { .sa_handler = out_of_time };
    sigaction(SIGALRM, &late, NULL);
    alarm(10);
    int status;
    while (waitpid(cli, &status, 0) < 0)
        if (errno != EINTR)
            exit(CRASHED);
    alarm(0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool is_baseline(const FTSENT *entry)
{
    return entry->fts_level == 1
        && (strcmp(entry->fts_name, "CLAUDE.md") == 0 || strcmp(entry->fts_name, "config.toml") == 0
            || strcmp(entry->fts_name, "settings.json") == 0);
}

/* Any regular file below ~/.claude that is not baseline is a login. */
static int check_claude(const char *home)
{
    char top[4096];
    struct stat is;
    snprintf(top, sizeof top, "%s/.claude", home);
    if (stat(top, &is) != 0)
        return errno == EACCES ? CREDS_INVALID : CREDS_MISSING;
    if (!S_ISDIR(is.st_mode))
        return CREDS_MISSING;
    char *const tops[] = { top, NULL };
    FTS *walk = fts_open(tops, FTS_PHYSICAL | FTS_COMFOLLOW, NULL);
    if (walk == NULL)
        return CRASHED;
    bool closed = false;
    for (FTSENT *entry; (entry = fts_read(walk)) != NULL;)
        switch (entry->fts_info) {
        case FTS_D: /* fts does not say when it may read a directory, and not enter it */
            closed |= access(entry->fts_accpath, R_OK | X_OK) != 0;
            break;
        case FTS_F:
            if (!is_baseline(entry))
                return READY;
            break;
        case FTS_DNR: /* may not be read */
        case FTS_NS:  /* lies in a directory that may not be searched */
        case FTS_ERR:
            closed = true;
            break;
        }
    return closed ? CREDS_INVALID : CREDS_MISSING;
}

/* JSON, RFC 8259, without recursion: `at` goes through the text, `stack` holds the open brackets. */
static const unsigned char *at, *end;

static void blanks(void)
{
    while (at < end && strchr(" \t\r\n", *at) && *at)
        at++;
}

static bool takes(char wanted)
{
    if (at == end || *at != (unsigned char)wanted)
        return false;
    at++;
    return true;
}

static bool digits(void)
{
    const unsigned char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > start;
}

static bool number(void)
{
    takes('-');
    if (!takes('0') && !digits())
        return false;
    if (takes('.') && !digits())
        return false;
    if (takes('e') || takes('E')) {
        if (!takes('+'))
            takes('-');
        return digits();
    }
    return true;
}

/* One character beyond ASCII, in UTF-8. */
static bool character(void)
{
    unsigned char lead = *at++;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0xc2 || lead > 0xf4)
        return false;
    for (; more > 0; more--, low = 0x80, high = 0xbf) {
        if (at == end || *at < low || *at > high)
            return false;
        at++;
    }
    return true;
}

static bool string(void)
{
    if (!takes('"'))
        return false;
    while (at < end && *at != '"') {
        if (*at < 0x20)
            return false;
        if (*at >= 0x80) {
            if (!character())
                return false;
        } else if (takes('\\')) {
            if (takes('u')) {
                for (int i = 0; i < 4; i++, at++)
                    if (at == end || !strchr("0123456789abcdefABCDEF", *at) || !*at)
                        return false;
            } else if (at == end || !strchr("\"\\/bfnrt", *at) || !*at) {
                return false;
            } else {
                at++;
            }
        } else {
            at++;
        }
    }
    return takes('"');
}

static bool word(const char *wanted)
{
    size_t length = strlen(wanted);
    if ((size_t)(end - at) < length || memcmp(at, wanted, length) != 0)
        return false;
    at += length;
    return true;
}

static bool scalar(void)
{
    if (at < end && *at == '"')
        return string();
    return word("true") || word("false") || word("null") || number();
}

static bool key(void)
{
    blanks();
    if (!string())
        return false;
    blanks();
    return takes(':');
}

static bool is_json(const unsigned char *text, size_t size)
{
    char *stack = malloc(size + 1); /* no text has more brackets than bytes */
    size_t depth = 0;
    if (stack == NULL)
        exit(CRASHED);
    at = text;
    end = text + size;
    for (;;) {
        blanks();
        bool opened = false;
        if (takes('[')) {
            stack[depth++] = ']';
            blanks();
            opened = at == end || *at != ']';
        } else if (takes('{')) {
            stack[depth++] = '}';
            blanks();
            opened = at == end || *at != '}';
            if (opened && !key())
                return false;
        } else if (!scalar()) {
            return false;
        }
        if (opened)
            continue;
        for (;;) { /* a value has ended, or a bracket is to be closed at once */
            blanks();
            if (depth == 0)
                return at == end;
            if (takes(stack[depth - 1])) {
                depth--;
                continue;
            }
            if (!takes(','))
                return false;
            if (stack[depth - 1] == '}' && !key())
                return false;
            break;
        }
    }
}

/* ~/.codex/auth.json has to be JSON, whatever it says. */
static int check_codex(const char *home)
{
    char auth[4096];
    struct stat is;
    snprintf(auth, sizeof auth, "%s/.codex/auth.json", home);
    int fd = open(auth, O_RDONLY | O_NONBLOCK); /* a FIFO is not waited for */
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? CREDS_MISSING : CREDS_INVALID;
    if (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode))
        return CREDS_INVALID;
    unsigned char *text = malloc((size_t)is.st_size + 1);
    size_t size = 0;
    ssize_t more;
    if (text == NULL)
        return CRASHED;
    while (size < (size_t)is.st_size && (more = read(fd, text + size, (size_t)is.st_size - size)) > 0)
        size += (size_t)more;
    return size == (size_t)is.st_size && is_json(text, size) ? READY : CREDS_INVALID;
}

int main(void)
{
    const char *agent = getenv("WOVED_TASK_AGENT"), *home = getenv("HOME");
    if (agent == NULL || (strcmp(agent, "claude") != 0 && strcmp(agent, "codex") != 0))
        return CLI_BROKEN;
    if (!cli_runs(agent))
        return CLI_BROKEN;
    if (home == NULL || *home == '\0')
        return CREDS_MISSING;
    return strcmp(agent, "claude") == 0 ? check_claude(home) : check_codex(home);
}
