package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/test/lab/images"
)

// containerdDeadline bounds how long a containerd may take to answer after its start.
const containerdDeadline = time.Minute

// builtImages remembers what the images were built of: hashing programs of 170 MB takes a second that
// an up of a running lab need not spend.
type builtImages struct {
	// Programs that went in, with size and time.
	Programs string         `json:"programs"`
	Images   []images.Image `json:"images"`
}

// provideImages builds the images of the lab's pods and has every node hold them.
func (u *up) provideImages(ctx context.Context) error {
	built, err := u.buildImages(ctx)
	if err != nil {
		return err
	}
	for _, image := range built.Images {
		if strings.HasPrefix(image.Name, images.CoreDNS+":") {
			u.dnsImage = image.Name
		}
	}
	archives := images.Archives(built.Images)
	prototype, err := u.keepPrototype(ctx, archives)
	if err != nil {
		return err
	}
	for _, zone := range Zones() {
		if err := u.startFrom(prototype, u.node(zone), archives); err != nil {
			return fmt.Errorf("images of %s: %w", NodeName(zone), err)
		}
	}
	return nil
}

// importImages brings nodes that ran before what is new since then.
func (u *up) importImages(ctx context.Context) error {
	built, err := u.buildImages(ctx)
	if err != nil {
		return err
	}
	return u.importAll(ctx, u.programs.paths["ctr"], images.Archives(built.Images))
}

func (u *up) buildImages(ctx context.Context) (builtImages, error) {
	file := u.path("images.json")
	programs, err := u.programs.fingerprint()
	if err != nil {
		return builtImages{}, err
	}
	var built builtImages
	if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &built) == nil && built.Programs == programs {
		return built, nil
	}
	set, err := distribution.Open(u.programs.directory)
	if err != nil {
		return builtImages{}, err
	}
	built = builtImages{Programs: programs}
	// Beside the programs, so that the next lab finds them there.
	if built.Images, err = images.Write(ctx, set, filepath.Join(u.programs.directory, "lab", "images")); err != nil {
		return builtImages{}, err
	}
	raw, err := json.Marshal(built)
	if err != nil {
		return builtImages{}, err
	}
	return built, writeFile(file, raw, 0o644)
}

// fingerprint changes when one of the programs does that images are made of.
func (p *programs) fingerprint() (string, error) {
	var all []string
	for _, program := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns"} {
		path, err := filepath.EvalSymlinks(p.paths[program])
		if err != nil {
			return "", err
		}
		id, err := fileID(path)
		if err != nil {
			return "", err
		}
		all = append(all, id)
	}
	return strings.Join(all, " "), nil
}

// Import has every node hold the images of some archives, which images.WriteProgram or another tool
// made. Pods use them with imagePullPolicy IfNotPresent. The lab must run.
func (l *Lab) Import(ctx context.Context, archives ...string) error {
	root, err := repository()
	if err != nil {
		return err
	}
	p, err := findPrograms(root)
	if err != nil {
		return err
	}
	return l.importAll(ctx, p.paths["ctr"], archives)
}

// importAll imports archives into all nodes at once, each once.
func (l *Lab) importAll(ctx context.Context, ctr string, archives []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, zone := range Zones() {
		group.Go(func() error {
			if err := l.importInto(ctx, ctr, l.node(zone), archives); err != nil {
				return fmt.Errorf("images of %s: %w", NodeName(zone), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (l *Lab) importInto(ctx context.Context, ctr string, n node, archives []string) error {
	imported, err := n.imported()
	if err != nil {
		return err
	}
	for _, archive := range archives {
		id, err := fileID(archive)
		if err != nil {
			return err
		}
		if slices.Contains(imported, id) {
			continue
		}
		if err := waitFor(ctx, containerdDeadline, func(ctx context.Context) error { return dial(ctx, n.socket()) }); err != nil {
			return fmt.Errorf("wait for containerd: %w", err)
		}
		err = l.runInside(ctx, ctr, "--address", n.socket(), "--namespace", "k8s.io", "images", "import", archive)
		if err != nil {
			return err
		}
		if err := n.rememberImported([]string{archive}); err != nil {
			return err
		}
	}
	return nil
}

// imported lists the ids of the archives that the node's containerd holds.
func (n node) imported() ([]string, error) {
	text, err := os.ReadFile(n.path("imported"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

func (n node) rememberImported(archives []string) error {
	ids, err := n.imported()
	if err != nil {
		return err
	}
	for _, archive := range archives {
		id, err := fileID(archive)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	return writeFile(n.path("imported"), []byte(strings.Join(ids, "\n")+"\n"), 0o644)
}

// runInside runs a command in the lab's namespaces. What it says is part of the error.
func (l *Lab) runInside(ctx context.Context, program string, arguments ...string) error {
	command, err := l.Command(ctx, program, arguments...)
	if err != nil {
		return err
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}

// fileID changes when a file does.
func fileID(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%d:%d", path, info.Size(), info.ModTime().UnixNano()), nil
}
