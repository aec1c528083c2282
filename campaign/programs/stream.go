// One end of a TLS connection over which both sides send at once; campaign/integrity_programs.py starts it.
//
// Arguments: server or client, the version, the PEM file of certificate and key, that of the CA, how many bytes
// to send, how many will come, and the port of the server, for a client. A server says its port first. Both end
// with a line of the SHA-256 of what was sent and of what came, and stay until their standard input ends.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash"
	"io"
	"math/rand"
	"net"
	"os"
	"strconv"
	"time"
)

const patience = 120 * time.Second

var sizes = []int{1, 17, 1000, 16383, 16384, 16385, 65536, 300000}

func check(err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func send(connection io.Writer, left int, sum hash.Hash) error {
	for left > 0 {
		piece := make([]byte, min(left, 1+rand.Intn(sizes[rand.Intn(len(sizes))])))
		rand.Read(piece)
		sum.Write(piece)
		if _, err := connection.Write(piece); err != nil {
			return err
		}
		left -= len(piece)
	}
	return nil
}

func main() {
	version := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[os.Args[2]]
	own, err := tls.LoadX509KeyPair(os.Args[3], os.Args[3])
	check(err)
	pem, err := os.ReadFile(os.Args[4])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	outgoing, err := strconv.Atoi(os.Args[5])
	check(err)
	incoming, err := strconv.Atoi(os.Args[6])
	check(err)
	config := &tls.Config{
		MinVersion: version, MaxVersion: version, ServerName: "localhost", Certificates: []tls.Certificate{own},
		RootCAs: roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	var raw net.Conn
	var connection *tls.Conn
	if os.Args[1] == "server" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
		raw, err = listener.Accept()
		check(err)
		connection = tls.Server(raw, config)
	} else {
		raw, err = net.Dial("tcp", "127.0.0.1:"+os.Args[7])
		check(err)
		connection = tls.Client(raw, config)
	}
	raw.SetDeadline(time.Now().Add(patience))
	check(connection.Handshake())
	sent, came := sha256.New(), sha256.New()
	sending := make(chan error, 1)
	go func() { sending <- send(connection, outgoing, sent) }()
	_, err = io.CopyN(came, connection, int64(incoming))
	check(err)
	check(<-sending)
	fmt.Printf("%x %x\n", sent.Sum(nil), came.Sum(nil))
	io.Copy(io.Discard, os.Stdin)
}
