package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// settings are what the lab must remember to take itself back.
type settings struct {
	// Sysctls of the machine as they were before, by path below /proc/sys.
	Sysctls map[string]string `json:"sysctls"`
}

// machineSysctls are what changes for the whole machine while a lab runs: what kubelets set at their
// start (pkg/kubelet/cm, setupKernelTunables), and room for the inotify instances of some guests.
// What is empty is only put back.
var machineSysctls = map[string]string{
	"vm/overcommit_memory":          "",
	"vm/panic_on_oom":               "",
	"kernel/panic":                  "",
	"kernel/panic_on_oops":          "",
	"kernel/keys/root_maxkeys":      "",
	"kernel/keys/root_maxbytes":     "",
	"fs/inotify/max_user_instances": "8192", // a guest takes 18, the usual limit is 128 per user
}

func (l *Lab) settingsFile() string { return l.path("lab.json") }

func sysctlFile(key string) string { return filepath.Join("/proc/sys", key) }

// readSettings is nil without an error where no lab is.
func (l *Lab) readSettings() (*settings, error) {
	raw, err := os.ReadFile(l.settingsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", l.dir, err)
	}
	s := &settings{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("lab %s: %s is damaged: %w", l.dir, l.settingsFile(), err)
	}
	return s, nil
}

// keepSettings writes down what is about to change, once, and changes it.
func (l *Lab) keepSettings() error {
	kept, err := l.readSettings()
	if err != nil {
		return err
	}
	if kept == nil {
		kept = &settings{Sysctls: map[string]string{}}
		for key := range machineSysctls {
			value, err := os.ReadFile(sysctlFile(key))
			if err != nil {
				return fmt.Errorf("read the machine's settings: %w", err)
			}
			kept.Sysctls[key] = strings.TrimSpace(string(value))
		}
		raw, err := json.MarshalIndent(kept, "", "  ")
		if err != nil {
			return fmt.Errorf("keep the machine's settings: %w", err)
		}
		if err := writeFile(l.settingsFile(), append(raw, '\n'), 0o644); err != nil {
			return err
		}
	}
	return writeSysctls(machineSysctls)
}

// writeSysctls sets what is not empty and not so already.
func writeSysctls(values map[string]string) error {
	for key, value := range values {
		old, err := os.ReadFile(sysctlFile(key))
		if err != nil {
			return fmt.Errorf("change the machine's settings: %w", err)
		}
		if value == "" || strings.TrimSpace(string(old)) == value {
			continue
		}
		if err := os.WriteFile(sysctlFile(key), []byte(value), 0o644); err != nil {
			return fmt.Errorf("change the machine's settings: %w", err)
		}
	}
	return nil
}
