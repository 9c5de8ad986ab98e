package objects

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Directories in every container.
const (
	configPath = "/etc/myriad" // the files of the component's Secret
	dataPath   = "/var/lib/myriad"
	tmpPath    = "/tmp"
)

// expand puts the container's directories in the place of the manifest's variables.
var expand = strings.NewReplacer(controlplane.ConfigDir, configPath, controlplane.DataDir, dataPath)

// secret holds a component's files, each under its path.
func (b *builder) secret(c *controlplane.Component) *applycorev1.SecretApplyConfiguration {
	data := map[string][]byte{}
	for _, file := range c.Files {
		data[file.Path] = file.Content
		if bytes.Contains(file.Content, []byte("$(")) {
			data[file.Path] = []byte(expand.Replace(string(file.Content)))
		}
	}
	return applycorev1.Secret(c.Name, b.namespace()).
		WithLabels(b.labels(c)).
		WithType(corev1.SecretTypeOpaque).
		WithData(data)
}

// specHash tells whether a running pod is still the one that is wanted. Live files, FirstArgs, sizes,
// probes and all that Myriad itself puts into a pod are left out: they change without a restart.
// Changing what goes in here restarts every pod of every guest at the next upgrade of Myriad.
func specHash(c *controlplane.Component) string {
	type file struct {
		Path    string
		Content []byte
	}
	spec := struct {
		Image, Program string
		Args, Env      []string
		Files          []file
	}{Image: c.Image, Program: c.Program, Args: slices.Concat([]string{}, c.Args), Env: slices.Concat([]string{}, c.Env)}
	for _, f := range c.Files {
		if !f.Live {
			spec.Files = append(spec.Files, file{f.Path, f.Content})
		}
	}
	slices.SortFunc(spec.Files, func(a, b file) int { return cmp.Compare(a.Path, b.Path) })
	raw, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("hashing strings and bytes cannot fail: %v", err))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}
