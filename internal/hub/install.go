package hub

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// establishDeadline bounds the wait for the API server to serve the fleet's kinds: less than a
	// second as a rule, more on a loaded machine.
	establishDeadline = time.Minute
	// establishPoll is the pause between two looks.
	establishPoll = 100 * time.Millisecond
	// largestDocument that is embedded, in bytes.
	largestDocument = 1 << 20
)

//go:embed crds/*.yaml
var crds embed.FS

//go:embed manifests/*.yaml
var manifests embed.FS

// Install puts the fleet's kinds, the hub's rights and its policies into the API server that config
// leads to, and returns once the kinds are served. It needs an administrator's rights, is idempotent
// and safe beside a running hub.
func Install(ctx context.Context, config *rest.Config) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("install the hub: %w", err)
	}
	names, err := applyAll(ctx, api, crds)
	if err != nil {
		return fmt.Errorf("install the hub: %w", err)
	}
	if err := awaitEstablished(ctx, api, names); err != nil {
		return fmt.Errorf("install the hub: %w", err)
	}
	if _, err := applyAll(ctx, api, manifests); err != nil {
		return fmt.Errorf("install the hub: %w", err)
	}
	return nil
}

// applyAll documents of the files, in order, and returns their names.
func applyAll(ctx context.Context, api client.Client, files fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		objects, err := decode(content)
		if err != nil {
			return fmt.Errorf("decode %s: %w", path, err)
		}
		for _, object := range objects {
			if err := write.Apply(ctx, api, client.ApplyConfigurationFromUnstructured(object)); err != nil {
				return err
			}
			names = append(names, object.GetName())
		}
		return nil
	})
	return names, err
}

// decode the YAML documents of a file.
func decode(content []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), largestDocument)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(objects)+1, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// awaitEstablished waits until the API server serves every kind of those names.
func awaitEstablished(ctx context.Context, api client.Client, names []string) error {
	waiting := ""
	err := wait.PollUntilContextTimeout(ctx, establishPoll, establishDeadline, true, func(ctx context.Context) (bool, error) {
		for _, name := range names {
			var definition apiextensionsv1.CustomResourceDefinition
			if err := api.Get(ctx, client.ObjectKey{Name: name}, &definition); err != nil {
				return false, fmt.Errorf("read CustomResourceDefinition %s: %w", name, err)
			}
			if waiting = unestablished(&definition); waiting != "" {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait until the API server serves the fleet's kinds (%s): %w", waiting, err)
	}
	return nil
}

// unestablished says why a kind is not served yet, or "" when it is.
func unestablished(definition *apiextensionsv1.CustomResourceDefinition) string {
	reason := definition.Name + " has no status yet"
	for _, condition := range definition.Status.Conditions {
		switch {
		case condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue:
			return ""
		case condition.Type == apiextensionsv1.NamesAccepted && condition.Status == apiextensionsv1.ConditionFalse:
			reason = fmt.Sprintf("%s: %s", definition.Name, condition.Message)
		}
	}
	return reason
}
