// Go's net/http as a server, on a listening socket that it inherits:
// server FD [VERSION SERVER [CA]], the last two files of PEM; with a CA it requires a client certificate.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

var versions = map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func settings(arguments []string) *tls.Config {
	version := versions[arguments[0]]
	config := &tls.Config{
		MinVersion:   version,
		MaxVersion:   version,
		Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(arguments[1], arguments[1]))},
	}
	if len(arguments) > 2 {
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(must(os.ReadFile(arguments[2])))
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

func main() {
	inherited := os.NewFile(uintptr(must(strconv.Atoi(os.Args[1]))), "listener")
	listener := must(net.FileListener(inherited))
	if len(os.Args) > 2 {
		listener = tls.NewListener(listener, settings(os.Args[2:]))
	}
	answer := func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("Content-Type", "text/plain")
		io.WriteString(response, "Hello, world!\n")
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(answer)))
}
