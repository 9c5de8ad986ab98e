package pki

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
)

func TestKubeconfig(t *testing.T) {
	inline := Kubeconfig{
		Name: "hello", Server: "https://127.0.0.1:6443", TLSServerName: "hello.example", Namespace: "team",
		CA: []byte("ca"), Certificate: []byte("certificate"), Key: []byte("key"), CertificateFile: "ignored",
	}
	data, err := inline.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientcmd.NewClientConfigFromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	namespace, _, err := client.Namespace()
	if err != nil {
		t.Fatal(err)
	}
	config, err := client.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		namespace, config.Host, config.TLSClientConfig.ServerName, string(config.CAData), string(config.CertData),
		string(config.KeyData), config.CertFile,
	}
	want := []string{"team", "https://127.0.0.1:6443", "hello.example", "ca", "certificate", "key", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := inline.Marshal(); err != nil || !bytes.Equal(data, again) {
		t.Errorf("a second Marshal differs: %v", err)
	}
}

func TestKubeconfigFiles(t *testing.T) {
	data, err := Kubeconfig{Name: "hello", Server: "https://a", CAFile: "ca.crt", CertificateFile: "client.crt", KeyFile: "client.key"}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	user, cluster := config.AuthInfos["hello"], config.Clusters["hello"]
	got := []string{cluster.CertificateAuthority, user.ClientCertificate, user.ClientKey}
	if diff := cmp.Diff([]string{"ca.crt", "client.crt", "client.key"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
