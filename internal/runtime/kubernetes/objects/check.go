package objects

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

const (
	// longestID leaves room for namespacePrefix in a DNS label.
	longestID = validation.DNS1123LabelMaxLength - len(namespacePrefix)
	// longestName of a component leaves room for the "-" and ten characters that a StatefulSet adds
	// for its pods' label controller-revision-hash.
	longestName = validation.LabelValueMaxLength - 11
)

// check refuses what the cell would refuse later, or worse, would not.
func check(cell Cell, m *controlplane.Manifest) error {
	problems := []error{checkID(m.ID), checkCell(&cell)}
	known := map[string]bool{}
	for i := range m.Components {
		c := &m.Components[i]
		if err := checkComponent(c, known); err != nil {
			problems = append(problems, fmt.Errorf("component %s: %w", c.Name, err))
		}
		known[c.Name] = true
	}
	return errors.Join(problems...)
}

func checkID(id string) error {
	problems := validation.IsDNS1123Label(id)
	if len(id) > longestID {
		problems = append(problems, fmt.Sprintf("must be no more than %d characters", longestID))
	}
	if NamespaceName(id) == SystemNamespace {
		problems = append(problems, "its namespace would be "+SystemNamespace+", which is Myriad's own")
	}
	return invalid("id", id, problems)
}

func checkCell(cell *Cell) error {
	problems := []error{invalid("cell: name", cell.Name, validation.IsValidLabelValue(cell.Name))}
	if cell.VolumeSize.Sign() <= 0 {
		problems = append(problems, fmt.Errorf("cell: volume size %s: etcd needs a volume: give a size of more than 0 bytes", cell.VolumeSize.String()))
	}
	for _, network := range slices.Concat(cell.Agents, cell.Gateways, cell.Private) {
		if !network.IsValid() || network.Addr().Is4In6() {
			problems = append(problems, fmt.Errorf("cell: network %q: want the form 10.0.0.0/8 or fd00::/8", network))
		}
	}
	return errors.Join(problems...)
}

func checkComponent(c *controlplane.Component, earlier map[string]bool) error {
	problems := []error{checkName(c.Name), checkInstance(c), checkImage(c.Image), checkSize(&c.Size), checkEnv(c.Env), checkFiles(c.Files)}
	if earlier[c.Name] {
		problems = append(problems, errors.New("name: it is used twice"))
	}
	if c.Program == "" {
		problems = append(problems, errors.New("program: it names none"))
	}
	for _, after := range c.After {
		if !earlier[after] {
			problems = append(problems, fmt.Errorf("after: %q must come earlier in the manifest", after))
		}
	}
	return errors.Join(problems...)
}

// checkName: Services ask for a DNS label that begins with a letter.
func checkName(name string) error {
	problems := validation.IsDNS1035Label(name)
	if len(name) > longestName {
		problems = append(problems, fmt.Sprintf("must be no more than %d characters", longestName))
	}
	return invalid("name", name, problems)
}

// checkInstance: Services were made by the name alone.
func checkInstance(c *controlplane.Component) error {
	if _, known := ports[c.Kind]; !known {
		return fmt.Errorf("kind %q: use one of %s", c.Kind, kinds())
	}
	if c.Zone == "" {
		return errors.New("zone: none is given: a pod must be bound to one")
	}
	if want := controlplane.InstanceName(c.Kind, c.Zone); c.Name != want {
		return fmt.Errorf("name: the component of that kind and zone is called %s", want)
	}
	return nil
}

// checkImage by the parser that containerd uses.
func checkImage(image string) error {
	if image == "" {
		return errors.New("image: none is given")
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return fmt.Errorf("image %q: %w: want registry/name:tag or registry/name@digest", image, err)
	}
	if reference.IsNameOnly(named) {
		return fmt.Errorf("image %q: it has no tag or digest, so that it could become another one at any start", image)
	}
	return nil
}

func checkSize(size *v1alpha1.ComponentSize) error {
	var problems []error
	pair := func(field string, request resource.Quantity, limit *resource.Quantity) {
		if request.Sign() < 0 {
			problems = append(problems, fmt.Errorf("size.%s %s: must not be negative", field, request.String()))
		}
		if limit != nil && limit.Cmp(request) < 0 {
			problems = append(problems, fmt.Errorf("size.%sLimit %s: must not be less than the %s of %s that is set aside", field, limit.String(), field, request.String()))
		}
	}
	pair("cpu", size.CPU, size.CPULimit)
	pair("memory", size.Memory, size.MemoryLimit)
	return errors.Join(problems...)
}

func checkEnv(env []string) error {
	taken := map[string]bool{"HOME": true, "TMPDIR": true}
	for _, variable := range env {
		name, _, found := strings.Cut(variable, "=")
		if !found || len(validation.IsEnvVarName(name)) > 0 {
			return fmt.Errorf("environment %q: want the form NAME=value", variable)
		}
		if taken[name] {
			return fmt.Errorf("environment %q: %s is set already", variable, name)
		}
		taken[name] = true
	}
	return nil
}

// checkFiles: each is a key of a Secret, which cannot hold directories.
func checkFiles(files []controlplane.File) error {
	known := map[string]bool{}
	for _, file := range files {
		if !filepath.IsLocal(file.Path) {
			return fmt.Errorf("file %q: it lies outside of the configuration directory", file.Path)
		}
		if problems := validation.IsConfigMapKey(file.Path); len(problems) > 0 {
			return fmt.Errorf("file %q: it cannot be a Secret's key: %s", file.Path, strings.Join(problems, "; "))
		}
		if known[file.Path] {
			return fmt.Errorf("file %q: it is given twice", file.Path)
		}
		known[file.Path] = true
		if file.From != "" && len(file.Content) == 0 {
			return fmt.Errorf("file %q: it has no content: resolve %q before", file.Path, file.From)
		}
	}
	return nil
}

func invalid(field, value string, problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s %q: %s", field, value, strings.Join(problems, "; "))
}
