package distribution

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// machines maps Go's names of architectures to what the header of a Linux executable says.
var machines = map[string]elf.Machine{
	"386":     elf.EM_386,
	"amd64":   elf.EM_X86_64,
	"arm":     elf.EM_ARM,
	"arm64":   elf.EM_AARCH64,
	"loong64": elf.EM_LOONGARCH,
	"ppc64le": elf.EM_PPC64,
	"riscv64": elf.EM_RISCV,
	"s390x":   elf.EM_S390,
}

// checkProgram says why a file cannot be run on this machine, and what to do about it. It reads
// the file's headers only, which is enough to catch what half a copy leaves.
func checkProgram(path, remedy string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("program %s cannot be read: %w: %s", path, err, remedy)
	}
	if info.IsDir() {
		return fmt.Errorf("program %s is a directory: remove it, then %s", path, remedy)
	}
	if info.Mode()&0o111 == 0 {
		return fmt.Errorf("program %s is not executable: run 'chmod +x %s'", path, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("program %s cannot be read: %w", path, err)
	}
	defer file.Close()
	if err := checkHeader(file); err != nil {
		return fmt.Errorf("program %s is broken: %w: %s", path, err, remedy)
	}
	return nil
}

// checkHeader accepts scripts, which people wrap programs in, and whole Linux executables for
// this machine's architecture.
func checkHeader(file io.ReaderAt) error {
	start := make([]byte, 2)
	if _, err := file.ReadAt(start, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it is empty")
		}
		return err
	}
	if bytes.Equal(start, []byte("#!")) {
		return nil
	}
	executable, err := elf.NewFile(file)
	if err != nil {
		return fmt.Errorf("it is no whole Linux executable: %w", err)
	}
	if want, known := machines[runtime.GOARCH]; known && executable.Machine != want {
		return fmt.Errorf("it is built for %s, this machine is %s (%s)", executable.Machine, want, runtime.GOARCH)
	}
	return nil
}
