package byhand

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// leafLifetime of certificates: longer than any benchmark.
const leafLifetime = 24 * time.Hour

// resolve fills in the files of a manifest: from the identity, and with certificates that it issues.
func resolve(manifest controlplane.Manifest, identity pki.Identity) (controlplane.Manifest, error) {
	leaves, err := issue(manifest, identity)
	if err != nil {
		return controlplane.Manifest{}, err
	}
	return manifest.Resolve(func(component, from string) ([]byte, error) {
		if from == controlplane.EncryptionConfigFile {
			return controlplane.EncryptionConfig(identity["encryption.key"]), nil
		}
		if content, ok := leaves[component+"/"+from]; ok {
			return content, nil
		}
		if content, ok := identity[from]; ok {
			return content, nil
		}
		return nil, fmt.Errorf("%q is no file of the identity", from)
	})
}

// issue returns every leaf certificate and key by component and File.From.
func issue(manifest controlplane.Manifest, identity pki.Identity) (map[string][]byte, error) {
	leaves := map[string][]byte{}
	for _, component := range manifest.Components {
		for _, leaf := range component.Certificates {
			authority, err := identity.Authority(string(leaf.Authority))
			if err != nil {
				return nil, err
			}
			certificate, key, err := authority.Issue(pki.Leaf{
				CommonName: leaf.CommonName, Organizations: leaf.Organizations, Names: leaf.Names,
				Server: leaf.Server, Client: leaf.Client, Lifetime: leafLifetime,
			}, time.Now())
			if err != nil {
				return nil, err
			}
			leaves[component.Name+"/"+controlplane.CertificateFile(leaf.Name)] = certificate
			leaves[component.Name+"/"+controlplane.CertificateKey(leaf.Name)] = key
		}
	}
	return leaves, nil
}

// admin issues a client certificate of a cluster administrator, who talks to the API server at host.
func admin(identity pki.Identity, host string) (*rest.Config, error) {
	authority, err := identity.Authority(string(controlplane.ClusterCA))
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(pki.Leaf{
		CommonName: "by-hand", Organizations: []string{"system:masters"}, Client: true, Lifetime: leafLifetime,
	}, time.Now())
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(host, strconv.Itoa(controlplane.APIServerPort)),
		TLSClientConfig: rest.TLSClientConfig{CAData: authority.CertificatePEM(), CertData: certificate, KeyData: key},
	}, nil
}
