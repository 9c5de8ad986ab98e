package controlplane

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func testManifest() Manifest {
	return Manifest{ID: "abcdefghij", Components: []Component{{
		Name: "etcd-a",
		Files: []File{
			{Path: "literal", Content: []byte("text")},
			{Path: "serving.crt", From: CertificateFile("serving"), Live: true},
		},
	}}}
}

func TestResolve(t *testing.T) {
	manifest := testManifest()
	got, err := manifest.Resolve(func(component, from string) ([]byte, error) { return []byte(component + " " + from), nil })
	if err != nil {
		t.Fatal(err)
	}
	want := testManifest()
	want.Components[0].Files[1].Content = []byte("etcd-a certificate/serving.crt")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(testManifest(), manifest); diff != "" {
		t.Errorf("the manifest itself was changed:\n%s", diff)
	}
}

func TestResolveRefuses(t *testing.T) {
	cases := map[string]struct {
		reason  string
		content []byte
		err     error
		want    string
	}{
		"Error": {"the cause is passed on", nil, errors.New("disk full"), "disk full"},
		"Empty": {"a program would fail on an empty file much later", nil, nil, "came back empty"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := testManifest().Resolve(func(string, string) ([]byte, error) { return tc.content, tc.err })
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "etcd-a: file serving.crt") {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

func TestEncryptionConfig(t *testing.T) {
	var config struct {
		Resources []struct {
			Resources []string
			Providers []map[string]struct {
				Keys []struct{ Name, Secret string }
			}
		}
	}
	if err := yaml.UnmarshalStrict([]byte(strings.SplitN(string(EncryptionConfig([]byte("a2V5"))), "\n", 3)[2]), &config); err != nil {
		t.Fatal(err)
	}
	providers := config.Resources[0].Providers
	if secretbox, ok := providers[0]["secretbox"]; !ok || secretbox.Keys[0].Secret != "a2V5" {
		t.Errorf("what is written must be sealed with the key, got %v", providers)
	}
	if _, ok := providers[len(providers)-1]["identity"]; !ok {
		t.Errorf("what was written in the clear must stay readable, got %v", providers)
	}
}
