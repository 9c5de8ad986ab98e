package controlplane

import (
	"fmt"
	"slices"
)

// Resolve returns a copy of the manifest with the Content of every file that has From. The material
// comes from the caller, by the component's name and From.
func (m Manifest) Resolve(material func(component, from string) ([]byte, error)) (Manifest, error) {
	m.Components = slices.Clone(m.Components)
	for i := range m.Components {
		component := &m.Components[i]
		component.Files = slices.Clone(component.Files)
		for j := range component.Files {
			file := &component.Files[j]
			if file.From == "" {
				continue
			}
			content, err := material(component.Name, file.From)
			if err != nil {
				return Manifest{}, fmt.Errorf("control plane %s: %s: file %s: %w", m.ID, component.Name, file.Path, err)
			}
			if len(content) == 0 {
				return Manifest{}, fmt.Errorf("control plane %s: %s: file %s: %q came back empty", m.ID, component.Name, file.Path, file.From)
			}
			file.Content = content
		}
	}
	return m, nil
}
