package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// readGearboxFile reads a Gearbox (YAML or JSON) and checks it as the hub would, which a file has not met yet.
// The error lists all problems, each with its line where it is one of writing.
func readGearboxFile(file string) (*v1alpha1.Gearbox, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fail(exitNotFound, "read Gearbox: there is no file %s; print the fleet's own to start from: myriad gears ladder -o yaml", file)
	}
	if err != nil {
		return nil, fail(exitUsage, "read Gearbox: %w", err)
	}
	box, err := decodeGearbox(data)
	if err != nil {
		return nil, fail(exitUsage, "read Gearbox %s: %w", file, err)
	}
	if problems := gear.Check(box.Spec); len(problems) > 0 {
		return nil, fail(exitUsage, "Gearbox %s does not fit together:%s", file, lines(problems))
	}
	box.Spec.Shifting = gear.WithDefaults(box.Spec.Shifting)
	return box, nil
}

// lines sets problems behind a colon: one on the same line, several below it.
func lines(problems []string) string {
	if len(problems) == 1 {
		return " " + problems[0]
	}
	return "\n  " + strings.Join(problems, "\n  ")
}

func decodeGearbox(data []byte) (*v1alpha1.Gearbox, error) {
	converted, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "\n", ""))
	}
	var document yamlnode.Node
	decoder := yamlnode.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty; it must hold one Gearbox")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&yamlnode.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one object; it must hold one Gearbox")
	}
	if err := mustBeGearbox(converted); err != nil {
		return nil, err
	}
	var box v1alpha1.Gearbox
	misplaced, err := strictjson.UnmarshalStrict(converted, &box)
	if err != nil {
		return nil, whereItBreaks(&document, converted, err)
	}
	problems := make([]string, 0, len(misplaced))
	for _, problem := range misplaced {
		problems = append(problems, misplacedText(&document, problem))
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.TrimPrefix(lines(problems), " "))
	}
	return &box, nil
}

func mustBeGearbox(converted []byte) error {
	var is metav1.TypeMeta
	if err := json.Unmarshal(converted, &is); err != nil {
		return errors.New("it is no object; it must hold one Gearbox")
	}
	if wanted := v1alpha1.GroupVersion.String(); is.Kind != "Gearbox" || is.APIVersion != wanted {
		return fmt.Errorf("it holds kind %s of %s; write 'kind: Gearbox' and 'apiVersion: %s'",
			dash(is.Kind), dash(is.APIVersion), wanted)
	}
	return nil
}

// misplacedText says on which line a field is that a Gearbox does not have, and which one was meant.
func misplacedText(document *yamlnode.Node, problem error) string {
	var field strictjson.FieldError
	if !errors.As(problem, &field) {
		return problem.Error()
	}
	path := pathParts(field.FieldPath())
	text := problem.Error()
	if strings.HasPrefix(text, "unknown field") && len(path) > 0 {
		text += suggest.Among(path[len(path)-1], fieldsOf(reflect.TypeFor[v1alpha1.Gearbox](), path[:len(path)-1]))
	}
	if line := lineOf(document, path); line > 0 {
		return fmt.Sprintf("line %d: %s", line, text)
	}
	return text
}

// whereItBreaks finds the part of a Gearbox that a value does not fit into: decoders of quantities
// do not say where they were.
func whereItBreaks(document *yamlnode.Node, converted []byte, err error) error {
	var raw struct {
		Spec struct {
			Base, Shifting  json.RawMessage
			Factors, Ladder []json.RawMessage
		} `json:"spec"`
	}
	if json.Unmarshal(converted, &raw) != nil {
		return err
	}
	report := func(value json.RawMessage, into any, path ...string) error {
		if broken := json.Unmarshal(value, into); len(value) > 0 && broken != nil {
			return fmt.Errorf("line %d: %s: %w", lineOf(document, path), strings.Join(path, "."), broken)
		}
		return nil
	}
	found := []error{
		report(raw.Spec.Base, &v1alpha1.Resources{}, "spec", "base"),
		report(raw.Spec.Shifting, &v1alpha1.GearShifting{}, "spec", "shifting"),
	}
	for i, factor := range raw.Spec.Factors {
		found = append(found, report(factor, &v1alpha1.GearFactor{}, "spec", "factors", strconv.Itoa(i)))
	}
	for i, rung := range raw.Spec.Ladder {
		found = append(found, report(rung, &v1alpha1.Gear{}, "spec", "ladder", strconv.Itoa(i)))
	}
	if all := errors.Join(found...); all != nil {
		return errors.New(strings.TrimPrefix(lines(strings.Split(all.Error(), "\n")), " "))
	}
	return err
}

var indices = regexp.MustCompile(`\[(\d+)\]`)

// pathParts splits spec.factors[0].cpu into its keys and indices.
func pathParts(path string) []string {
	return strings.Split(indices.ReplaceAllString(path, ".$1"), ".")
}

// lineOf what a path leads to in a document, counted from 1; 0: it is not there.
func lineOf(node *yamlnode.Node, path []string) int {
	if node.Kind == yamlnode.DocumentNode && len(node.Content) == 1 {
		node = node.Content[0]
	}
	line := 0
	for _, part := range path {
		var next *yamlnode.Node
		if i, err := strconv.Atoi(part); err == nil && node.Kind == yamlnode.SequenceNode && i < len(node.Content) {
			next, line = node.Content[i], node.Content[i].Line
		}
		for i := 0; node.Kind == yamlnode.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				next, line = node.Content[i+1], node.Content[i].Line
			}
		}
		if next == nil {
			return 0
		}
		node = next
	}
	return line
}

// fieldsOf the struct that a path leads to.
func fieldsOf(kind reflect.Type, path []string) []string {
	for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
		kind = kind.Elem()
		if len(path) > 0 {
			if _, err := strconv.Atoi(path[0]); err == nil {
				path = path[1:]
			}
		}
	}
	if kind.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for _, field := range reflect.VisibleFields(kind) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "":
		case len(path) == 0:
			names = append(names, name)
		case name == path[0]:
			return fieldsOf(field.Type, path[1:])
		}
	}
	return names
}
