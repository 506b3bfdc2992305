#include "bgworker/tls_context.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

namespace historian::bgworker {

namespace {

bool is_numeric(const char *host) noexcept {
    unsigned char address[sizeof(in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/// The reason of OpenSSL's first error; its queue is empty afterwards, as the server's own TLS expects it.
const char *take_reason() noexcept {
    const unsigned long error = ERR_peek_error();
    const bool system = ERR_GET_LIB(error) == ERR_LIB_SYS;
    const char *reason = system ? std::strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);
    ERR_clear_error();
    return reason == nullptr ? "reason not known" : reason;
}

}  // namespace

/// What OpenSSL calls.
struct TlsCallbacks {
    static TlsContext *context_of(const SSL *ssl) noexcept {
        return static_cast<TlsContext *>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    }

    /// Keeps the reason for which a certificate is refused.
    static int check_certificate(int accepted, X509_STORE_CTX *store) {
        if (accepted != 0) return accepted;
        auto *ssl = static_cast<SSL *>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        TlsContext *self = context_of(ssl);
        std::snprintf(self->problem_, sizeof self->problem_, "%s",
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
        return 0;
    }

    /// Before the first byte is written: libmosquitto has named the numeric address, which is no name (RFC 6066, section 3).
    static void handshake_begins(const SSL *ssl, int where, int) {
        if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
        const char *host = context_of(ssl)->options_.host;
        if (is_numeric(host)) host = nullptr;
        SSL_set_tlsext_host_name(const_cast<SSL *>(ssl), host);
    }

    /// Never asks at a terminal, as OpenSSL would.
    static int give_password(char *room, int room_bytes, int, void *self) {
        const char *password = static_cast<TlsContext *>(self)->options_.keypassword;
        if (password == nullptr || static_cast<int>(std::strlen(password)) > room_bytes) return 0;
        const int bytes = static_cast<int>(std::strlen(password));
        std::memcpy(room, password, static_cast<std::size_t>(bytes));
        return bytes;
    }
};

bool TlsContext::fail(const char *doing, const char *file) noexcept {
    std::snprintf(problem_, sizeof problem_, "%s \"%s\": %s", doing, file, take_reason());
    return false;
}

/// A device or a pipe could hold up the worker.
bool TlsContext::check_file(const char *file) noexcept {
    struct stat status;
    const bool found = stat(file, &status) == 0;
    if (found && S_ISREG(status.st_mode)) return true;
    std::snprintf(problem_, sizeof problem_, "could not read \"%s\": %s", file, found ? "not a file" : std::strerror(errno));
    return false;
}

/// Whom we talk to.
bool TlsContext::trust() noexcept {
    if (options_.insecure) {
        SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
        return true;
    }
    if (options_.cafile == nullptr) {
        SSL_CTX_set_default_verify_paths(context_);
    } else if (!check_file(options_.cafile)) {
        return false;
    } else if (SSL_CTX_load_verify_locations(context_, options_.cafile, nullptr) != 1) {
        return fail("could not load the certificate authorities of", options_.cafile);
    }
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context_);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int named = is_numeric(options_.host) ? X509_VERIFY_PARAM_set1_ip_asc(parameters, options_.host)
                                                : X509_VERIFY_PARAM_set1_host(parameters, options_.host, 0);
    if (named != 1) return fail("could not verify the name", options_.host);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, TlsCallbacks::check_certificate);
    return true;
}

/// Who we are.
bool TlsContext::identify() noexcept {
    if (options_.certfile == nullptr) return true;
    const char *keyfile = options_.keyfile == nullptr ? options_.certfile : options_.keyfile;
    if (!check_file(options_.certfile) || !check_file(keyfile)) return false;
    SSL_CTX_set_default_passwd_cb(context_, TlsCallbacks::give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context_, this);
    if (SSL_CTX_use_certificate_chain_file(context_, options_.certfile) != 1) {
        return fail("could not load the client certificate", options_.certfile);
    }
    if (SSL_CTX_use_PrivateKey_file(context_, keyfile, SSL_FILETYPE_PEM) != 1) {
        return fail("could not load the client key", keyfile);
    }
    if (SSL_CTX_check_private_key(context_) != 1) return fail("the client certificate does not fit the key", keyfile);
    return true;
}

bool TlsContext::open(const TlsOptions &options) noexcept {
    close();
    options_ = options;
    problem_[0] = '\0';
    ERR_clear_error();
    context_ = SSL_CTX_new(TLS_client_method());
    if (context_ == nullptr) return fail("could not prepare TLS for", options.host);
    SSL_CTX_set_app_data(context_, this);
    SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
    SSL_CTX_set_options(context_, SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_info_callback(context_, TlsCallbacks::handshake_begins);
    if (trust() && identify()) return true;
    SSL_CTX_free(context_);
    context_ = nullptr;
    return false;
}

void TlsContext::close() noexcept {
    if (context_ != nullptr) SSL_CTX_free(context_);
    context_ = nullptr;
}

}  // namespace historian::bgworker
