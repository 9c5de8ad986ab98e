package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig is a kubeconfig of one cluster, one user and one context, all of one name.
type Kubeconfig struct {
	// Name of the cluster, the user and the context.
	Name string
	// Server URL, for example https://127.9.1.2:6443.
	Server string
	// TLSServerName to send (SNI) and verify instead of the URL's host; empty for that.
	TLSServerName string
	// Namespace to work in; empty for default.
	Namespace string
	// CA bundle that the server is verified by (PEM).
	CA []byte
	// Certificate and Key of the user (PEM). Leave them empty for a user that has none yet.
	Certificate, Key []byte
	// CAFile, CertificateFile and KeyFile are used where the PEM above is empty. Clients read the
	// user's files again when they change. Relative names start at the kubeconfig's directory.
	CAFile, CertificateFile, KeyFile string
}

// Marshal returns the kubeconfig (YAML). The same Kubeconfig gives the same bytes.
func (k Kubeconfig) Marshal() ([]byte, error) {
	cluster := &api.Cluster{Server: k.Server, TLSServerName: k.TLSServerName, CertificateAuthorityData: k.CA}
	if len(k.CA) == 0 {
		cluster.CertificateAuthority = k.CAFile
	}
	user := &api.AuthInfo{ClientCertificateData: k.Certificate, ClientKeyData: k.Key}
	if len(k.Certificate) == 0 {
		user.ClientCertificate = k.CertificateFile
	}
	if len(k.Key) == 0 {
		user.ClientKey = k.KeyFile
	}
	data, err := clientcmd.Write(api.Config{
		Clusters:       map[string]*api.Cluster{k.Name: cluster},
		AuthInfos:      map[string]*api.AuthInfo{k.Name: user},
		Contexts:       map[string]*api.Context{k.Name: {Cluster: k.Name, AuthInfo: k.Name, Namespace: k.Namespace}},
		CurrentContext: k.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", k.Name, err)
	}
	return data, nil
}
