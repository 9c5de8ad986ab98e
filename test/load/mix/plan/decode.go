package plan

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Decode reads a mix from YAML and validates it. A field that does not exist, or exists twice, is an
// error, as is everything that Validate refuses.
func Decode(content []byte) (Mix, error) {
	converted, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return Mix{}, fmt.Errorf("read a mix: %w", err)
	}
	var mix Mix
	strict, err := json.UnmarshalStrict(converted, &mix)
	if err != nil {
		return Mix{}, fmt.Errorf("read a mix: %w: durations are written like 90s, counts and rates as plain numbers", err)
	}
	if len(strict) > 0 {
		return Mix{}, fmt.Errorf("read a mix: %w; the fields there are: %s", errors.Join(strict...), strings.Join(fieldNames(reflect.TypeFor[Mix]()), ", "))
	}
	if err := mix.Validate(); err != nil {
		return Mix{}, fmt.Errorf("mix %q: %w", mix.Name, err)
	}
	return mix, nil
}

// fieldNames of a type of this package and of those inside it, sorted.
func fieldNames(t reflect.Type) []string {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[Mix]().PkgPath() {
		return nil
	}
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(append(names, name), fieldNames(field.Type)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
