package renewal

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/internal/pki"
)

// The agent's certificate, and what is kept while the next one is asked for.
const (
	certificateFile = "client.crt"
	keyFile         = "client.key"
	requestFile     = "request.csr"
	requestKeyFile  = "request.key"
	fileMode        = 0o600
)

// files of the agent's certificate in one directory.
type files struct{ dir string }

// Repair ends an installation that a crash cut short: the new certificate is there, its key has not
// yet taken the place of the old one. Call it before the files are used.
func Repair(dir string) error {
	f := files{dir}
	certificate, err := f.certificate()
	if err != nil {
		return err
	}
	if key, err := os.ReadFile(f.path(keyFile)); err == nil && belong(certificate, key) {
		return nil
	}
	key, err := os.ReadFile(f.path(requestKeyFile))
	if err != nil || !belong(certificate, key) {
		return fmt.Errorf("the agent's certificate and key in %s do not belong together: run 'myriad up' to have the agent join again", dir)
	}
	return f.finish()
}

func (f files) certificate() ([]byte, error) {
	certificate, err := os.ReadFile(f.path(certificateFile))
	if err != nil {
		return nil, fmt.Errorf("read the agent's certificate: %w: run 'myriad up' to have the agent join", err)
	}
	return certificate, nil
}

// keep writes a request and its key. The request comes last: it counts only with its key.
func (f files) keep(request, key []byte) error {
	if err := renameio.WriteFile(f.path(requestKeyFile), key, fileMode); err != nil {
		return fmt.Errorf("keep the key of the agent's request: %w", err)
	}
	if err := renameio.WriteFile(f.path(requestFile), request, fileMode); err != nil {
		return fmt.Errorf("keep the agent's request: %w", err)
	}
	return nil
}

// pending returns the request under way, if its key is there and its own.
func (f files) pending() ([]byte, bool) {
	request, err := os.ReadFile(f.path(requestFile))
	if err != nil {
		return nil, false
	}
	if _, err := pki.ParseRequest(request); err != nil {
		return nil, false
	}
	_, err = os.Stat(f.path(requestKeyFile))
	return request, err == nil
}

// install puts an answered certificate and its key in the place of the old ones. Between the two
// writes only Repair knows how to go on.
func (f files) install(certificate []byte) error {
	key, err := os.ReadFile(f.path(requestKeyFile))
	if err != nil {
		return fmt.Errorf("read the key of the agent's request: %w", err)
	}
	if !belong(certificate, key) {
		return errors.New("the certificate does not belong to the request's key")
	}
	if err := renameio.WriteFile(f.path(certificateFile), certificate, fileMode); err != nil {
		return fmt.Errorf("keep the agent's new certificate: %w", err)
	}
	return f.finish()
}

func (f files) finish() error {
	if err := os.Rename(f.path(requestKeyFile), f.path(keyFile)); err != nil {
		return fmt.Errorf("put the agent's new key in its place: %w", err)
	}
	if err := os.Remove(f.path(requestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the agent's answered request: %w", err)
	}
	return nil
}

func (f files) path(name string) string { return filepath.Join(f.dir, name) }

// belong tells whether a certificate was made for a key.
func belong(certificate, key []byte) bool {
	_, err := tls.X509KeyPair(certificate, key)
	return err == nil
}
