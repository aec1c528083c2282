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

/* Plays the case over a TCP connection that both ends close afterwards. */
static enum result play(const struct asked *asked, int connection);

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

/* The one connection, or -1. */
static int connected(const struct asked *asked)
{
    struct timeval patience = {15, 0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = socket(AF_INET, SOCK_STREAM, 0), connection = one;
    setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (asked->server) {
        if (bind(one, (struct sockaddr *)&address, size) || listen(one, 1) ||
            getsockname(one, (struct sockaddr *)&address, &size))
            return -1;
        printf("port=%d\n", ntohs(address.sin_port));
        connection = accept(one, NULL, NULL);
        close(one);
    } else {
        address.sin_port = htons(atoi(asked->port));
        if (connect(one, (struct sockaddr *)&address, size))
            return -1;
    }
    if (connection >= 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connection;
}

static enum result played(char *line)
{
    char *fields[16] = {0};
    int count = 0, connection;
    enum result result;
    for (char *one = strtok(line, "\t\n"); one && count < 15; one = strtok(NULL, "\t\n"))
        fields[count++] = one;
    struct asked asked = {
        .server = !strcmp(field(fields, "role"), "server"),
        .tls13 = !strcmp(field(fields, "version"), "1.3"),
        .mode = !strcmp(field(fields, "mode"), "none")       ? NONE
                : !strcmp(field(fields, "mode"), "optional") ? OPTIONAL
                                                             : REQUIRED,
        .certificate = field(fields, "certificate"),
        .ca = field(fields, "ca"),
        .port = field(fields, "port"),
    };
    detail[0] = 0;
    if ((connection = connected(&asked)) < 0)
        return wrong("connecting");
    result = play(&asked, connection);
    shutdown(connection, SHUT_WR); /* what was sent last, an alert perhaps, must not be lost to a reset */
    while (read(connection, line, 1) > 0)
        ;
    close(connection);
    return result;
}

int main(void)
{
    static char line[8192];
    static const char *const names[] = {"established", "refused", "error"};
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    while (fgets(line, sizeof line, stdin)) {
        enum result result = played(line);
        printf("result=%s\tdetail=%s\n", names[result], detail);
    }
    return 0;
}
