/* What the programs in C share: one TLS case for each line of standard input; programs.py tells what the lines say. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum result { ESTABLISHED, REFUSED, WRONG }; /* WRONG is a failure of the test: it must not pass for a refusal */
enum mode { NONE, OPTIONAL, REQUIRED };

struct asked {
    int server, tls13;
    enum mode mode;
    const char *certificate, *ca, *port; /* a certificate that is not to be shown is "" */
};

static char detail[1024];

/* Before the connections of a case; whether it could. */
static int begin(const struct asked *asked);
/* Plays the case over a TCP connection, which both ends close then; a client keeps the session for the next. */
static enum result play(const struct asked *asked, int connection);
/* After the connections of a case. */
static void end(void);

static enum result wrong(const char *what)
{
    snprintf(detail, sizeof detail, "%s: %s", what, strerror(errno));
    return WRONG;
}

static const char *alert_name(int code)
{
    switch (code) {
    case 40: return "handshake failure";
    case 42: return "bad certificate";
    case 45: return "certificate expired";
    case 46: return "certificate unknown";
    case 48: return "unknown ca";
    case 49: return "access denied";
    case 116: return "certificate required";
    default: return "alert of another kind";
    }
}

static const char *field(char **fields, const char *name)
{
    for (; *fields; fields++)
        if (!strncmp(*fields, name, strlen(name)) && (*fields)[strlen(name)] == '=')
            return *fields + strlen(name) + 1;
    return "";
}

static int patient(int connection)
{
    struct timeval patience = {15, 0};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connection;
}

static int listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = patient(socket(AF_INET, SOCK_STREAM, 0));
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 2) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        return -1;
    printf("port=%d\n", ntohs(address.sin_port));
    return listener;
}

static int connected(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connection = patient(socket(AF_INET, SOCK_STREAM, 0));
    address.sin_port = htons(atoi(port));
    if (!connect(connection, (struct sockaddr *)&address, sizeof address))
        return connection;
    close(connection);
    return -1;
}

static enum result played(const struct asked *asked, int connection)
{
    char unused[256];
    enum result result = connection < 0 ? wrong("connecting") : play(asked, connection);
    shutdown(connection, SHUT_WR); /* what was sent last, an alert perhaps, must not be lost to a reset */
    while (read(connection, unused, sizeof unused) > 0)
        ;
    close(connection);
    return result;
}

static void tell(enum result result)
{
    static const char *const names[] = {"established", "refused", "error"};
    printf("result=%s\tdetail=%s\n", names[result], detail);
}

static void play_all(const struct asked *asked, int times)
{
    int listener = asked->server ? listening() : -1;
    while (times--) {
        detail[0] = 0;
        tell(played(asked, asked->server ? patient(accept(listener, NULL, NULL)) : connected(asked->port)));
    }
    close(listener);
}

int main(void)
{
    static char line[8192];
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        char *fields[16] = {0};
        int count = 0;
        for (char *one = strtok(line, "\t\n"); one && count < 15; one = strtok(NULL, "\t\n"))
            fields[count++] = one;
        const char *mode = field(fields, "mode");
        struct asked asked = {
            .server = !strcmp(field(fields, "role"), "server"),
            .tls13 = !strcmp(field(fields, "version"), "1.3"),
            .mode = !strcmp(mode, "none") ? NONE : !strcmp(mode, "optional") ? OPTIONAL : REQUIRED,
            .certificate = field(fields, "certificate"),
            .ca = field(fields, "ca"),
            .port = field(fields, "port"),
        };
        if (begin(&asked))
            play_all(&asked, atoi(field(fields, "times")));
        else
            tell(wrong("beginning"));
        end();
    }
    return 0;
}
