// TLS for a connection to a broker: whom it trusts, who it is. The only file that knows OpenSSL; it knows no PostgreSQL.
//
// libmosquitto would do this for us, but it verifies a certificate against the very text that it hands to the resolver, and that
// resolver waits. So we resolve the name ourselves (resolver.h), give libmosquitto an address, and this context, which knows the
// name: it checks the certificate against it and tells it to the broker (SNI).
#pragma once

struct ssl_ctx_st;

namespace historian::bgworker {

/// All texts must outlive the context.
struct TlsOptions {
    const char *host = nullptr;         ///< as in the broker's URL: a name or a numeric address
    const char *cafile = nullptr;       ///< nullptr: the system's certificate authorities
    const char *certfile = nullptr;     ///< nullptr: no client certificate
    const char *keyfile = nullptr;      ///< nullptr: the key is in certfile
    const char *keypassword = nullptr;  ///< nullptr: the key is not encrypted
    bool insecure = false;              ///< the broker may be anybody
};

class TlsContext {
public:
    /// Reads the files; false with a reason in problem(). TLS 1.2 or later.
    bool open(const TlsOptions &options) noexcept;

    void close() noexcept;

    ssl_ctx_st *handle() const noexcept { return context_; }

    /// Why open() failed, or why the broker's certificate was not accepted; empty when it was.
    const char *problem() const noexcept { return problem_; }

private:
    friend struct TlsCallbacks;

    bool fail(const char *doing, const char *file) noexcept;
    bool check_file(const char *file) noexcept;
    bool trust() noexcept;
    bool identify() noexcept;

    ssl_ctx_st *context_ = nullptr;
    TlsOptions options_;
    char problem_[200] = "";
};

}  // namespace historian::bgworker
