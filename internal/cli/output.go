package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"
)

// The values of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
	outputName  = "name"
)

var outputs = []string{outputTable, outputJSON, outputYAML, outputName}

// table is text in aligned columns.
type table struct {
	columns []string
	rows    [][]string
}

func (t table) write(out io.Writer, indent string) error {
	writer := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	for _, row := range append([][]string{t.columns}, t.rows...) {
		cells := slices.Clone(row)
		for i, cell := range cells {
			if cells[i] = strings.ReplaceAll(cell, "\n", " "); cell == "" {
				cells[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(writer, indent+strings.Join(cells, "\t")); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return writer.Flush()
}

// show prints objects as --output wants them: the table, or the objects themselves. A single object
// is printed bare, several in a List.
func (s *session) show(scheme *runtime.Scheme, objects []client.Object, single bool, text func() error) error {
	if s.output == outputTable {
		return text()
	}
	for _, object := range objects {
		kind, err := apiutil.GVKForObject(object, scheme)
		if err != nil {
			return fmt.Errorf("print object: %w", err)
		}
		object.GetObjectKind().SetGroupVersionKind(kind)
		object.SetManagedFields(nil)
	}
	if s.output == outputName {
		return s.showNames(objects)
	}
	if single && len(objects) == 1 {
		return s.encode(objects[0])
	}
	list := struct {
		metav1.TypeMeta `json:",inline"`
		Items           []client.Object `json:"items"`
	}{metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, append([]client.Object{}, objects...)}
	return s.encode(list)
}

func (s *session) showNames(objects []client.Object) error {
	for _, object := range objects {
		kind := object.GetObjectKind().GroupVersionKind().GroupKind()
		if _, err := fmt.Fprintf(s.out, "%s/%s\n", strings.ToLower(kind.String()), object.GetName()); err != nil {
			return fmt.Errorf("write names: %w", err)
		}
	}
	return nil
}

// encode prints a value as --output wants it, JSON where that is a table.
func (s *session) encode(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil && s.output == outputYAML {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return fmt.Errorf("print object: %w", err)
	}
	_, err = fmt.Fprintln(s.out, strings.TrimSuffix(string(text), "\n"))
	return err
}

// say prints a sentence as the result of a command, or the object that it changed where --output
// asks for objects.
func (s *session) say(scheme *runtime.Scheme, object client.Object, format string, arguments ...any) error {
	return s.show(scheme, []client.Object{object}, true, func() error {
		_, err := fmt.Fprintf(s.out, format+"\n", arguments...)
		return err
	})
}

// notef prints advice beside the results.
func (s *session) notef(format string, arguments ...any) {
	_, _ = fmt.Fprintf(s.err, format+"\n", arguments...)
}

// age of something in the short words of kubectl, such as 5m or 3d.
func (s *session) age(since metav1.Time) string {
	if since.IsZero() {
		return "-"
	}
	return duration.HumanDuration(s.clock.Since(since.Time).Truncate(time.Second))
}
