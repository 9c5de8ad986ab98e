package mix

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/myriad-fleet/myriad/internal/suggest"
	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

//go:embed mixes/*.yaml
var files embed.FS

// Names of the mixes that are built in, sorted.
func Names() []string {
	entries, err := files.ReadDir("mixes")
	if err != nil {
		panic("the built-in mixes are gone: " + err.Error())
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".yaml")
	}
	return names
}

// Embedded returns a mix that is built in. It fails when there is none of that name.
func Embedded(name string) (plan.Mix, error) {
	content, err := files.ReadFile(path.Join("mixes", name+".yaml"))
	if err != nil {
		return plan.Mix{}, fmt.Errorf("%s; a mix of your own is named by its file, with .yaml", suggest.NotFound("mix", name, Names()))
	}
	return plan.Decode(content)
}
