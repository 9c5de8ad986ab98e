package local

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// clientFiles is a client certificate for the hub with the kubeconfig that uses it.
type clientFiles struct {
	kubeconfig string // the file to write
	directory  string // client.crt and client.key lie here
	name       string // of the context
	leaf       pki.Leaf
	inline     bool // the kubeconfig holds the certificate itself
}

// agentLifetime of an agent's first certificate; later ones are asked of the hub by the agent itself.
const agentLifetime = 30 * 24 * time.Hour

// hubClient is the credential of a daemon that keeps its state in the directory.
func hubClient(directory, user string, lifetime time.Duration) clientFiles {
	return clientFiles{
		kubeconfig: filepath.Join(directory, "hub", "kubeconfig"),
		directory:  filepath.Join(directory, "hub"),
		name:       "myriad-hub",
		leaf:       pki.Leaf{CommonName: user, Client: true, Lifetime: lifetime},
	}
}

// keepClient issues the certificate where it is missing, broken, due for renewal or for another
// user, and writes the kubeconfig.
func (h *Home) keepClient(files clientFiles, identity pki.Identity) error {
	certificate, key, err := h.keepCertificate(files.directory, "client", files.leaf, string(controlplane.ClusterCA), identity)
	if err != nil {
		return err
	}
	config := pki.Kubeconfig{
		Name:          files.name,
		Server:        "https://" + net.JoinHostPort(hubHosts(h.Settings.Network).apiServer.String(), strconv.Itoa(hubPort)),
		TLSServerName: "hub.myriad.internal",
		CA:            identity[string(controlplane.ClusterCA)+".crt"],
	}
	if files.inline {
		config.Certificate, config.Key = certificate, key
	} else {
		config.CertificateFile = filepath.Join(files.directory, "client.crt")
		config.KeyFile = filepath.Join(files.directory, "client.key")
	}
	text, err := config.Marshal()
	if err != nil {
		return fmt.Errorf("write %s: %w", files.kubeconfig, err)
	}
	return writeChanged(files.kubeconfig, text)
}

// keepCertificate returns <directory>/<name>.crt and .key, issued anew where needed.
func (h *Home) keepCertificate(directory, name string, leaf pki.Leaf, authority string, identity pki.Identity) (certificate, key []byte, err error) {
	certificateFile, keyFile := filepath.Join(directory, name+".crt"), filepath.Join(directory, name+".key")
	certificate, certificateErr := os.ReadFile(certificateFile)
	key, keyErr := os.ReadFile(keyFile)
	if errors.Join(certificateErr, keyErr) == nil && serves(certificate, leaf, identity[authority+".crt"], h.clock.Now()) {
		return certificate, key, nil
	}
	signer, err := identity.Authority(authority)
	if err != nil {
		return nil, nil, fmt.Errorf("issue %s: %w", certificateFile, err)
	}
	if certificate, key, err = signer.Issue(leaf, h.clock.Now()); err != nil {
		return nil, nil, fmt.Errorf("issue %s: %w", certificateFile, err)
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, nil, fmt.Errorf("issue %s: %w", certificateFile, err)
	}
	// The key first: a crash in between leaves a pair that does not match, which serves() cannot
	// see; the certificate is therefore removed before.
	if err := errors.Join(ignoreMissing(os.Remove(certificateFile)),
		renameio.WriteFile(keyFile, key, 0o600), renameio.WriteFile(certificateFile, certificate, 0o600)); err != nil {
		return nil, nil, fmt.Errorf("issue %s: %w", certificateFile, err)
	}
	return certificate, key, nil
}

// serves says that a certificate is what the leaf asks for and need not be renewed yet.
func serves(certificate []byte, leaf pki.Leaf, authority []byte, now time.Time) bool {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return false
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil || parsed.Subject.CommonName != leaf.CommonName {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	if _, err := parsed.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return false
	}
	renew, err := pki.RenewAt(certificate)
	return err == nil && now.Before(renew) && slices.Equal(namesOf(parsed), sorted(leaf.Names))
}

func namesOf(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return sorted(names)
}

func sorted(names []string) []string {
	all := append([]string{}, names...)
	slices.Sort(all)
	return slices.Compact(all)
}

// keepIdentity loads the hub's certificate authorities, or makes them once.
func (h *Home) keepIdentity() (pki.Identity, error) {
	directory := h.path("hub", "identity")
	identity, err := readIdentity(directory)
	if err == nil {
		return identity, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("hub identity %s: %w; restore the directory from a backup: without it every agent and gateway must join anew", directory, err)
	}
	if identity, err = pki.NewIdentity(hubID, h.clock.Now()); err != nil {
		return nil, fmt.Errorf("make hub identity: %w", err)
	}
	// Written beside its place and renamed: there is a whole identity or none.
	draft := directory + ".new"
	if err := errors.Join(os.RemoveAll(draft), os.MkdirAll(draft, 0o700)); err != nil {
		return nil, fmt.Errorf("make hub identity: %w", err)
	}
	for name, content := range identity {
		if err := renameio.WriteFile(filepath.Join(draft, name), content, 0o600); err != nil {
			return nil, fmt.Errorf("make hub identity: %w", err)
		}
	}
	if err := os.Rename(draft, directory); err != nil {
		return nil, fmt.Errorf("make hub identity: %w", err)
	}
	return identity, nil
}

func readIdentity(directory string) (pki.Identity, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	identity := pki.Identity{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, err
		}
		identity[entry.Name()] = content
	}
	return identity, identity.Validate()
}

// keepRecoveryKeys returns each area's public escrow key, made on first use. The secret halves
// stay in the home, where the fleet's owner should move them to a safe.
func (h *Home) keepRecoveryKeys(areas []string) (map[string]string, error) {
	recipients := map[string]string{}
	for _, area := range areas {
		file := h.path("recovery", area+".pub")
		if text, err := os.ReadFile(file); err == nil {
			recipients[area] = strings.TrimSpace(string(text))
			continue
		}
		secret, recipient, err := h.keepRecoverySecret(area)
		if err != nil {
			return nil, fmt.Errorf("recovery key of area %s: %w", area, err)
		}
		err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o700),
			renameio.WriteFile(h.path("recovery", area+".key"), []byte(secret+"\n"), 0o600),
			renameio.WriteFile(file, []byte(recipient+"\n"), 0o600))
		if err != nil {
			return nil, fmt.Errorf("keep recovery key of area %s: %w", area, err)
		}
		recipients[area] = recipient
	}
	return recipients, nil
}

// keepRecoverySecret of an area: the one that is there, whose public half an earlier run did not come to write, or a new one.
// Escrow that was sealed to another key could never be opened, so one that cannot be read is never replaced.
func (h *Home) keepRecoverySecret(area string) (secret, recipient string, err error) {
	text, err := os.ReadFile(h.path("recovery", area+".key"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return pki.NewRecoveryKey()
	case err != nil:
		return "", "", err
	}
	secret = strings.TrimSpace(string(text))
	if recipient, err = pki.RecoveryRecipient(secret); err != nil {
		return "", "", fmt.Errorf("%s: %w; restore it from its copy, or restore %s.pub beside it", h.path("recovery", area+".key"), err, area)
	}
	return secret, recipient, nil
}

// resolveHub fills in the hub's certificates and keys, kept in the home.
func resolveHub(home *Home, identity pki.Identity, manifest controlplane.Manifest) (controlplane.Manifest, error) {
	issued := map[string][]byte{}
	for _, component := range manifest.Components {
		for _, c := range component.Certificates {
			leaf := pki.Leaf{CommonName: c.CommonName, Organizations: c.Organizations, Names: c.Names, Server: c.Server, Client: c.Client, Lifetime: serverLifetime}
			certificate, key, err := home.keepCertificate(home.path("hub", component.Name), c.Name, leaf, string(c.Authority), identity)
			if err != nil {
				return controlplane.Manifest{}, err
			}
			issued[component.Name+"/"+controlplane.CertificateFile(c.Name)] = certificate
			issued[component.Name+"/"+controlplane.CertificateKey(c.Name)] = key
		}
	}
	resolved, err := manifest.Resolve(func(component, from string) ([]byte, error) {
		if content, found := issued[component+"/"+from]; found {
			return content, nil
		}
		if from == "encryption-config" {
			return controlplane.EncryptionConfig(identity["encryption.key"]), nil
		}
		content, found := identity[from]
		if !found {
			return nil, fmt.Errorf("the hub's identity has no %s", from)
		}
		return content, nil
	})
	if err != nil {
		return controlplane.Manifest{}, fmt.Errorf("resolve hub: %w", err)
	}
	return resolved, nil
}

// writeChanged leaves a file that is right already as it is.
func writeChanged(file string, content []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := renameio.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
