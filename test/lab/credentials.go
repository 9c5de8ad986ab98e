package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// certificateLifetime outlives every lab.
const certificateLifetime = 365 * 24 * time.Hour

// credentials of the cell, kept below the lab's directory so that another up changes nothing.
type credentials struct {
	lab      *Lab
	identity pki.Identity
}

// openCredentials reads the cell's authorities, or makes them.
func openCredentials(l *Lab) (*credentials, error) {
	directory := l.path("identity")
	identity, err := readIdentity(directory)
	if err != nil {
		return nil, err
	}
	if identity.Validate() == nil {
		return &credentials{lab: l, identity: identity}, nil
	}
	if identity, err = pki.NewIdentity(name, l.clock.Now()); err != nil {
		return nil, err
	}
	// Certificates of authorities that an interrupted up made are worth nothing now.
	if err := os.RemoveAll(l.path("pki")); err != nil {
		return nil, fmt.Errorf("make the cell's authorities: %w", err)
	}
	for file, content := range identity {
		if err := writeFile(filepath.Join(directory, file), content, 0o600); err != nil {
			return nil, fmt.Errorf("make the cell's authorities: %w", err)
		}
	}
	return &credentials{lab: l, identity: identity}, nil
}

func readIdentity(directory string) (pki.Identity, error) {
	identity := pki.Identity{}
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the cell's authorities: %w", err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the cell's authorities: %w", err)
		}
		identity[entry.Name()] = content
	}
	return identity, nil
}

// leaf returns the certificate and the key of a component, issued once.
func (c *credentials) leaf(component string, wanted controlplane.Certificate) (certificate, key []byte, err error) {
	base := c.lab.path("pki", component, wanted.Name)
	certificate, certificateErr := os.ReadFile(base + ".crt")
	key, keyErr := os.ReadFile(base + ".key")
	if certificateErr == nil && keyErr == nil {
		return certificate, key, nil
	}
	authority, err := c.identity.Authority(string(wanted.Authority))
	if err != nil {
		return nil, nil, err
	}
	certificate, key, err = authority.Issue(pki.Leaf{
		CommonName: wanted.CommonName, Organizations: wanted.Organizations, Names: wanted.Names,
		Server: wanted.Server, Client: wanted.Client, Lifetime: certificateLifetime,
	}, c.lab.clock.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("issue %s: %w", base, err)
	}
	// The certificate last: with it the pair counts as made.
	err = errors.Join(os.RemoveAll(base+".crt"), writeFile(base+".key", key, 0o600))
	if err == nil {
		err = writeFile(base+".crt", certificate, 0o600)
	}
	return certificate, key, err
}

// resolve issues a manifest's certificates and fills in its files.
func (c *credentials) resolve(manifest controlplane.Manifest) (controlplane.Manifest, error) {
	issued := map[string][]byte{}
	for i := range manifest.Components {
		component := &manifest.Components[i]
		for _, wanted := range component.Certificates {
			certificate, key, err := c.leaf(component.Name, wanted)
			if err != nil {
				return controlplane.Manifest{}, err
			}
			issued[component.Name+"/"+controlplane.CertificateFile(wanted.Name)] = certificate
			issued[component.Name+"/"+controlplane.CertificateKey(wanted.Name)] = key
		}
	}
	return manifest.Resolve(func(component, from string) ([]byte, error) {
		if content, found := issued[component+"/"+from]; found {
			return content, nil
		}
		if from == controlplane.EncryptionConfigFile {
			return controlplane.EncryptionConfig(c.identity[pki.EncryptionKey]), nil
		}
		content, found := c.identity[from]
		if !found {
			return nil, fmt.Errorf("the cell's identity has no %s", from)
		}
		return content, nil
	})
}

// writeKubeconfigs writes the administrator's and the agent's.
func (c *credentials) writeKubeconfigs() error {
	return errors.Join(
		c.writeKubeconfig(c.lab.Kubeconfig(), "administrator", name+":administrator", "system:masters"),
		c.writeKubeconfig(c.lab.AgentKubeconfig(), "agent", AgentUser),
	)
}

func (c *credentials) writeKubeconfig(path, component, user string, groups ...string) error {
	certificate, key, err := c.leaf(component, controlplane.Certificate{
		Name: "client", Authority: controlplane.ClusterCA, Client: true, CommonName: user, Organizations: groups,
	})
	if err != nil {
		return err
	}
	text, err := pki.Kubeconfig{
		Name: name, Server: apiServerURL(),
		CA: c.identity[string(controlplane.ClusterCA)+".crt"], Certificate: certificate, Key: key,
	}.Marshal()
	if err != nil {
		return err
	}
	return writeFile(path, text, 0o600)
}

// writeFile writes a file whole, and its directory. One that is right already stays as it is.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
