// Plays one TLS case for each line of standard input, on Go's crypto/tls; programs.py tells what the lines say.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const patience = 15 * time.Second

// wrong is a failure of the test rather than a refusal: it must not pass for one.
type wrong struct{ error }

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
var modes = map[string]tls.ClientAuthType{
	"none":     tls.NoClientCert,
	"optional": tls.VerifyClientCertIfGiven,
	"required": tls.RequireAndVerifyClientCert,
}

func configured(asked map[string]string) (*tls.Config, error) {
	pem, err := os.ReadFile(asked["ca"])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + asked["ca"])
	}
	version := versions[asked["version"]]
	config := &tls.Config{
		MinVersion: version, MaxVersion: version, ServerName: "localhost",
		RootCAs: roots, ClientCAs: roots, ClientAuth: modes[asked["mode"]],
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	var own tls.Certificate
	if path := asked["certificate"]; path != "" {
		if own, err = tls.LoadX509KeyPair(path, path); err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	// Without this, Go keeps back a certificate whose issuer the server did not name.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	return config, nil
}

// part ends a connection so that what was sent last, an alert perhaps, is not lost to a reset.
func part(raw *net.TCPConn) {
	raw.CloseWrite()
	io.Copy(io.Discard, raw)
	raw.Close()
}

func exchange(connection *tls.Conn, raw net.Conn, send, expect string, first bool) error {
	raw.SetDeadline(time.Now().Add(patience))
	if first {
		if _, err := io.WriteString(connection, send); err != nil {
			return err
		}
	}
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return err
	}
	if line != expect {
		return wrong{fmt.Errorf("%q came", line)}
	}
	if !first {
		if _, err := io.WriteString(connection, send); err != nil {
			return err
		}
	}
	connection.CloseWrite()
	return nil
}

func connect(asked map[string]string, config *tls.Config) error {
	raw, err := net.DialTimeout("tcp", "127.0.0.1:"+asked["port"], patience)
	if err != nil {
		return wrong{err}
	}
	defer func() { go part(raw.(*net.TCPConn)) }()
	return exchange(tls.Client(raw, config), raw, "ping\n", "pong\n", true)
}

func serve(listener *net.TCPListener, config *tls.Config) error {
	raw, err := listener.AcceptTCP()
	if err != nil {
		return wrong{err}
	}
	defer func() { go part(raw) }()
	return exchange(tls.Server(raw, config), raw, "pong\n", "ping\n", false)
}

func listening() (*net.TCPListener, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	listener.SetDeadline(time.Now().Add(patience))
	fmt.Printf("port=%d\n", listener.Addr().(*net.TCPAddr).Port)
	return listener, nil
}

func tell(err error) {
	switch detail := strings.Join(strings.Fields(fmt.Sprint(err)), " "); {
	case err == nil:
		fmt.Println("result=established\tdetail=")
	case errors.As(err, &wrong{}) || errors.Is(err, os.ErrDeadlineExceeded):
		fmt.Printf("result=error\tdetail=%s\n", detail)
	default:
		fmt.Printf("result=refused\tdetail=%s\n", detail)
	}
}

func play(asked map[string]string) error {
	config, err := configured(asked)
	if err != nil {
		return err
	}
	one := func() error { return connect(asked, config) }
	if asked["role"] == "server" {
		listener, err := listening()
		if err != nil {
			return err
		}
		defer listener.Close()
		one = func() error { return serve(listener, config) }
	}
	times, err := strconv.Atoi(asked["times"])
	for ; times > 0; times-- {
		tell(one())
	}
	return err
}

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		asked := map[string]string{}
		for _, pair := range strings.Split(lines.Text(), "\t") {
			key, value, _ := strings.Cut(pair, "=")
			asked[key] = value
		}
		if err := play(asked); err != nil {
			tell(wrong{err})
		}
	}
}
