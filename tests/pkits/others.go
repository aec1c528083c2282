// Asks crypto/x509 about paths. Standard input: JSON, a list of {"Anchor": base64, "Chain": [base64]}, DER, the end
// entity's own certificate first. Standard output: JSON, why each is refused, empty where it is accepted. No CRLs:
// Verify reads none.
package main

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"time"
)

type path struct {
	Anchor []byte
	Chain  [][]byte
}

func refusal(p path, at time.Time) string {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	anchor, err := x509.ParseCertificate(p.Anchor)
	if err != nil {
		return err.Error()
	}
	roots.AddCert(anchor)
	var certificates []*x509.Certificate
	for _, der := range p.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err.Error()
		}
		certificates = append(certificates, certificate)
	}
	for _, certificate := range certificates[1:] {
		intermediates.AddCert(certificate)
	}
	options := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if _, err := certificates[0].Verify(options); err != nil {
		return err.Error()
	}
	return ""
}

func main() {
	var paths []path
	if err := json.NewDecoder(os.Stdin).Decode(&paths); err != nil {
		panic(err)
	}
	at := time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC)
	refusals := []string{}
	for _, p := range paths {
		refusals = append(refusals, refusal(p, at))
	}
	if err := json.NewEncoder(os.Stdout).Encode(refusals); err != nil {
		panic(err)
	}
}
