package cli

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"
)

// TestCellAccess: what is printed can be applied as it is, for the user that was asked for.
func TestCellAccess(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitOK, "cell", "access", "--user", "somebody")
	output := f.out.String()
	var kinds []string
	for _, document := range strings.Split(output, "---\n")[1:] {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if object.GetName() == "" || object.GetAPIVersion() == "" {
			t.Errorf("no object that can be applied:\n%s", document)
		}
		kinds = append(kinds, object.GetKind())
	}
	want := "Namespace ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ClusterRole ClusterRoleBinding Role RoleBinding"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("kinds %s, want %s", got, want)
	}
	if strings.Count(output, "somebody") < 3 {
		t.Errorf("the user is to be bound twice and confined:\n%s", output)
	}
}
