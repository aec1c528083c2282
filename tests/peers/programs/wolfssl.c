/* The peer on wolfSSL. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "peer.h"

static WOLFSSL_CTX *context;
static WOLFSSL_SESSION *session;

/* Why the last call failed: an alert that came, or wolfSSL's own words. */
static enum result refused(WOLFSSL *tls, int returned)
{
    WOLFSSL_ALERT_HISTORY alerts;
    int error = wolfSSL_get_error(tls, returned);
    if (error == WOLFSSL_ERROR_WANT_READ)
        return wrong("waiting");
    if (wolfSSL_get_alert_history(tls, &alerts) == WOLFSSL_SUCCESS && alerts.last_rx.level == alert_fatal)
        snprintf(detail, sizeof detail, "received %s", alert_name(alerts.last_rx.code));
    else
        wolfSSL_ERR_error_string_n(error, detail, sizeof detail);
    return REFUSED;
}

static enum result exchange(const struct asked *asked, WOLFSSL *tls)
{
    const char *out = asked->server ? "pong\n" : "ping\n", *in = asked->server ? "ping\n" : "pong\n";
    char got[6] = {0};
    int returned;
    if ((returned = asked->server ? wolfSSL_accept(tls) : wolfSSL_connect(tls)) != WOLFSSL_SUCCESS)
        return refused(tls, returned);
    if (!asked->server && (returned = wolfSSL_write(tls, out, 5)) != 5)
        return refused(tls, returned);
    for (int count = 0; count < 5; count += returned)
        if ((returned = wolfSSL_read(tls, got + count, 5 - count)) <= 0)
            return refused(tls, returned);
    if (strcmp(got, in))
        return wrong(got);
    if (asked->server && (returned = wolfSSL_write(tls, out, 5)) != 5)
        return refused(tls, returned);
    wolfSSL_shutdown(tls);
    return ESTABLISHED;
}

static WOLFSSL_METHOD *method(const struct asked *asked)
{
    if (asked->server)
        return asked->tls13 ? wolfTLSv1_3_server_method() : wolfTLSv1_2_server_method();
    return asked->tls13 ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method();
}

static int begin(const struct asked *asked)
{
    static const int demands[] = {
        [NONE] = WOLFSSL_VERIFY_NONE,
        [OPTIONAL] = WOLFSSL_VERIFY_PEER,
        [REQUIRED] = WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    const char *own = asked->certificate;
    context = wolfSSL_CTX_new(method(asked));
    wolfSSL_CTX_set_verify(context, asked->server ? demands[asked->mode] : WOLFSSL_VERIFY_PEER, NULL);
    return wolfSSL_CTX_load_verify_locations(context, asked->ca, NULL) == WOLFSSL_SUCCESS &&
           (asked->server || wolfSSL_CTX_UseSessionTicket(context) == WOLFSSL_SUCCESS) &&
           (!*own || (wolfSSL_CTX_use_certificate_chain_file(context, own) == WOLFSSL_SUCCESS &&
                      wolfSSL_CTX_use_PrivateKey_file(context, own, WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS));
}

static enum result play(const struct asked *asked, int connection)
{
    WOLFSSL *tls = wolfSSL_new(context);
    enum result result;
    wolfSSL_set_fd(tls, connection);
    if (!asked->server) {
        wolfSSL_UseSNI(tls, WOLFSSL_SNI_HOST_NAME, "localhost", 9);
        wolfSSL_check_domain_name(tls, "localhost");
        if (session)
            wolfSSL_set_session(tls, session);
    }
    result = exchange(asked, tls);
    if (!asked->server && !session)
        session = wolfSSL_get1_session(tls);
    wolfSSL_free(tls);
    return result;
}

static void end(void)
{
    wolfSSL_SESSION_free(session);
    wolfSSL_CTX_free(context);
    session = NULL;
}
