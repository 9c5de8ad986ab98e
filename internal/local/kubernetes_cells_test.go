package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

func TestParseKubernetesCell(t *testing.T) {
	for _, tc := range []struct {
		reason, text string
		want         KubernetesCell
		err          string
	}{
		{reason: "the first region is meant when none is named", text: "lab-1=/etc/lab", want: KubernetesCell{"lab-1", "cn-hangzhou", "/etc/lab"}},
		{reason: "a path may hold signs of its own", text: "lab-1@eu-frankfurt=/a=b@c", want: KubernetesCell{"lab-1", "eu-frankfurt", "/a=b@c"}},
		{reason: "without a kubeconfig nothing can be reached", text: "lab-1", err: "write NAME=KUBECONFIG"},
		{reason: "an empty path is none", text: "lab-1=", err: "write NAME=KUBECONFIG"},
		{reason: "a Cell's name is a label", text: "Lab_1=/etc/lab", err: "write NAME=KUBECONFIG"},
		{reason: "regions are known", text: "lab-1@mars=/etc/lab", err: "there is no region mars; use cn-hangzhou or eu-frankfurt"},
	} {
		got, err := ParseKubernetesCell(tc.text)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %q: error %v, want one that says %q", tc.reason, tc.text, err, tc.err)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("%s: %q: error %v, (-want +got):\n%s", tc.reason, tc.text, err, diff)
		}
	}
}

// TestKeepKubernetesCells: what joined stays, with a kubeconfig that stands alone.
func TestKeepKubernetesCells(t *testing.T) {
	given := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(given, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("ca.crt", "authority")
	kubeconfig := write("kubeconfig", `{apiVersion: v1, kind: Config, clusters: [{name: x, cluster: {server: "https://cell", certificate-authority: ca.crt}}]}`)
	home := &Home{Dir: t.TempDir(), clock: clock.RealClock{}}
	if err := home.keepKubernetesCells([]KubernetesCell{{"lab-1", "cn-hangzhou", kubeconfig}}); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(home.cellKubeconfig("lab-1"))
	if err != nil || !strings.Contains(string(kept), "certificate-authority-data: YXV0aG9yaXR5") {
		t.Errorf("the copy must hold what the kubeconfig names: %v\n%s", err, kept)
	}
	for _, tc := range []struct {
		reason string
		cell   KubernetesCell
		err    string
	}{
		{"a cell may join again", KubernetesCell{"lab-1", "cn-hangzhou", kubeconfig}, ""},
		{"a cell does not move", KubernetesCell{"lab-1", "eu-frankfurt", kubeconfig}, "a cell does not move"},
		{"names of the default fleet are taken", KubernetesCell{"hz-1", "cn-hangzhou", kubeconfig}, "one of the default fleet"},
		{"a kubeconfig that is missing leads nowhere", KubernetesCell{"lab-1", "cn-hangzhou", kubeconfig + "x"}, "read its kubeconfig"},
	} {
		err := home.keepKubernetesCells([]KubernetesCell{tc.cell})
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: error %v, want %q", tc.reason, err, tc.err)
		}
	}
	if len(home.Settings.KubernetesCells) != 1 {
		t.Errorf("one cell has joined, the home has %v", home.Settings.KubernetesCells)
	}
}
