/* The peer on mbedTLS, of the version that has TLS 1.2 alone. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>

#include "peer.h"

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context numbers;
static mbedtls_ssl_config config;
static mbedtls_x509_crt ca, own;
static mbedtls_pk_context key;
static mbedtls_ssl_ticket_context tickets;
static mbedtls_ssl_session session;
static int kept; /* whether there is a session */

/* Why the last call failed: an alert that came, or mbedTLS's own words. */
static enum result refused(mbedtls_ssl_context *tls, int error)
{
    if (error == MBEDTLS_ERR_NET_RECV_FAILED && errno == EAGAIN)
        return wrong("waiting");
    if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        snprintf(detail, sizeof detail, "received %s", alert_name(tls->in_msg[1]));
    else
        mbedtls_strerror(error, detail, sizeof detail);
    return REFUSED;
}

static enum result exchange(const struct asked *asked, mbedtls_ssl_context *tls)
{
    const char *out = asked->server ? "pong\n" : "ping\n", *in = asked->server ? "ping\n" : "pong\n";
    char got[6] = {0};
    int returned;
    if ((returned = mbedtls_ssl_handshake(tls)))
        return refused(tls, returned);
    if (!asked->server && (returned = mbedtls_ssl_write(tls, (const unsigned char *)out, 5)) != 5)
        return refused(tls, returned);
    for (int count = 0; count < 5; count += returned)
        if ((returned = mbedtls_ssl_read(tls, (unsigned char *)got + count, 5 - count)) <= 0)
            return refused(tls, returned);
    if (strcmp(got, in))
        return wrong(got);
    if (asked->server && (returned = mbedtls_ssl_write(tls, (const unsigned char *)out, 5)) != 5)
        return refused(tls, returned);
    mbedtls_ssl_close_notify(tls);
    return ESTABLISHED;
}

/* Without this, MBEDTLS_SSL_VERIFY_OPTIONAL goes on with an invalid certificate. */
static int refuse_invalid(void *unused, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    (void)unused, (void)certificate, (void)depth;
    return *flags ? MBEDTLS_ERR_X509_FATAL_ERROR : 0;
}

static int begin(const struct asked *asked)
{
    static const int demands[] = {
        [NONE] = MBEDTLS_SSL_VERIFY_NONE,
        [OPTIONAL] = MBEDTLS_SSL_VERIFY_OPTIONAL,
        [REQUIRED] = MBEDTLS_SSL_VERIFY_REQUIRED,
    };
    const char *path = asked->certificate;
    int role = asked->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    int (*const number)(void *, unsigned char *, size_t) = mbedtls_ctr_drbg_random;
    mbedtls_entropy_init(&entropy), mbedtls_ctr_drbg_init(&numbers), mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&ca), mbedtls_x509_crt_init(&own), mbedtls_pk_init(&key);
    mbedtls_ssl_ticket_init(&tickets), mbedtls_ssl_session_init(&session);
    if (asked->tls13 || mbedtls_ctr_drbg_seed(&numbers, mbedtls_entropy_func, &entropy, NULL, 0) ||
        mbedtls_ssl_config_defaults(&config, role, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) ||
        mbedtls_x509_crt_parse_file(&ca, asked->ca) ||
        mbedtls_ssl_ticket_setup(&tickets, number, &numbers, MBEDTLS_CIPHER_AES_256_GCM, 3600))
        return 0;
    if (*path && (mbedtls_x509_crt_parse_file(&own, path) || mbedtls_pk_parse_keyfile(&key, path, NULL) ||
                  mbedtls_ssl_conf_own_cert(&config, &own, &key)))
        return 0;
    mbedtls_ssl_conf_rng(&config, number, &numbers);
    mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_authmode(&config, asked->server ? demands[asked->mode] : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (asked->server && asked->mode == OPTIONAL)
        mbedtls_ssl_conf_verify(&config, refuse_invalid, NULL);
    if (asked->server)
        mbedtls_ssl_conf_session_tickets_cb(&config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tickets);
    return 1;
}

static enum result play(const struct asked *asked, int connection)
{
    enum result result;
    mbedtls_net_context net = {.fd = connection};
    mbedtls_ssl_context tls;
    mbedtls_ssl_init(&tls);
    mbedtls_ssl_set_bio(&tls, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    if (mbedtls_ssl_setup(&tls, &config) ||
        (!asked->server && (mbedtls_ssl_set_hostname(&tls, "localhost") ||
                            (kept && mbedtls_ssl_set_session(&tls, &session)))))
        result = wrong("setting up");
    else
        result = exchange(asked, &tls);
    if (!asked->server && !kept)
        kept = !mbedtls_ssl_get_session(&tls, &session);
    mbedtls_ssl_free(&tls);
    return result;
}

static void end(void)
{
    mbedtls_ssl_session_free(&session), mbedtls_ssl_ticket_free(&tickets), mbedtls_ssl_config_free(&config);
    mbedtls_pk_free(&key), mbedtls_x509_crt_free(&own), mbedtls_x509_crt_free(&ca);
    mbedtls_ctr_drbg_free(&numbers), mbedtls_entropy_free(&entropy);
    kept = 0;
}
