package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestGearboxFileErrors(t *testing.T) {
	good, err := os.ReadFile(gearboxFile)
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, by string) string {
		text := strings.Replace(string(good), old, by, 1)
		if text == string(good) {
			t.Fatalf("%q is not in %s", old, gearboxFile)
		}
		return text
	}
	cases := map[string]struct {
		reason string
		text   string
		want   []string
	}{
		"Empty":   {"an empty file", "", []string{"read Gearbox <file>: it is empty; it must hold one Gearbox"}},
		"Scalar":  {"YAML that is no object", "hello", []string{"read Gearbox <file>: it is no object; it must hold one Gearbox"}},
		"YAML":    {"the line is told", replaced("spec:", "spec: ["), []string{"read Gearbox <file>: yaml: line "}},
		"Twice":   {"a field is written once", replaced("  base:\n", "  base:\n    cpu: 1\n"), []string{`line 9: key "cpu" already set`}},
		"Two":     {"one object", string(good) + "---\n" + string(good), []string{"it holds more than one object"}},
		"Kind":    {"another kind", replaced("kind: Gearbox", "kind: ClusterTemplate"), []string{"it holds kind ClusterTemplate of fleet.myriad.dev/v1alpha1; write 'kind: Gearbox' and 'apiVersion: fleet.myriad.dev/v1alpha1'"}},
		"Version": {"another version", replaced("v1alpha1", "v9"), []string{"it holds kind Gearbox of fleet.myriad.dev/v9"}},
		"Unknown": {
			"all unknown fields, each with its line and what was meant",
			strings.Replace(replaced("enterPercent", "enterPercents"), "      memory: 2Mi", "      memry: 2Mi", 1),
			[]string{
				`line 13: unknown field "spec.factors[0].memry"; did you mean memory?`,
				`line 60: unknown field "spec.shifting.enterPercents"; did you mean enterPercent?`,
			},
		},
		"Quantity": {"a value that is none, with the line of what it is in", replaced("cpu: 9m", "cpu: nine"), []string{"line 23: spec.factors.3: unable to parse quantity"}},
		"Type":     {"a text where a number belongs", replaced("enterPercent: 80", "enterPercent: many"), []string{"spec.shifting", "cannot unmarshal string"}},
		"Check": {
			"all problems of the model", strings.Replace(replaced("metric: nodes", "metric: nods"), "leavePercent: 60", "leavePercent: 90", 1),
			[]string{"Gearbox <file> does not fit together:\n  spec.factors[0] (nods): there is no such metric", "\n  spec.shifting: the bands overlap"},
		},
		"Negative": {"less with more load", replaced("cpu: 9m", "cpu: -9m"), []string{"-9m is negative"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "gearbox.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"ladder", "backtest"} {
				f := newFixture(t, interceptor.Funcs{})
				f.want(exitUsage, "gears", command, "-f", file)
				for _, want := range tc.want {
					if want = strings.ReplaceAll(want, "<file>", file); !strings.Contains(f.err.String(), want) {
						t.Errorf("%s: %s\nmust contain: %s", tc.reason, f.err.String(), want)
					}
				}
			}
		})
	}
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitNotFound, "gears", "ladder", "-f", "nowhere.yaml")
	f.wantError("read Gearbox: there is no file nowhere.yaml; print the fleet's own to start from: myriad gears ladder -o yaml")
}
