package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// tailBlock is how many bytes are read at once when the end of a log is looked through backwards.
const tailBlock = 64 << 10

// printLog prints the last lines of a log, or all for -1, and follows it over rotations until ctx
// is done.
func (s *session) printLog(ctx context.Context, path string, lines int, follow bool) error {
	file, err := openTail(path, lines)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for {
		if _, err := io.Copy(s.out, file); err != nil {
			return err
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.clock.After(pollInterval):
		}
		next, err := reopenRotated(path, file)
		if err != nil {
			return err
		}
		if next == nil {
			continue
		}
		// What was written between the last look and the rotation is still in the old file.
		_, err = io.Copy(s.out, file)
		_ = file.Close()
		if file = next; err != nil {
			return err
		}
	}
}

// openTail opens a file at the start of its last lines.
func openTail(path string, lines int) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	start, err := tailOffset(file, lines)
	if err == nil {
		_, err = file.Seek(start, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find its last %d lines: %w", lines, err), file.Close())
	}
	return file, nil
}

// tailOffset finds where the last lines of a file start, reading it backwards.
func tailOffset(file *os.File, lines int) (int64, error) {
	info, err := file.Stat()
	if err != nil || lines < 0 {
		return 0, err
	}
	if lines == 0 {
		return info.Size(), nil
	}
	block := make([]byte, tailBlock)
	end := info.Size()
	for position := end; position > 0; {
		size := min(position, tailBlock)
		position -= size
		if _, err := file.ReadAt(block[:size], position); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := size; ; {
			i = int64(bytes.LastIndexByte(block[:i], '\n'))
			if i < 0 {
				break
			}
			// The newline that ends the file ends the last line; it does not start another.
			if position+i+1 == end {
				continue
			}
			if lines--; lines == 0 {
				return position + i + 1, nil
			}
		}
	}
	return 0, nil
}

// reopenRotated opens the file that took the place of the open one; nil where it is still the same.
func reopenRotated(path string, open *os.File) (*os.File, error) {
	now, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // between two steps of a rotation, or the guest is gone
	}
	if err != nil {
		return nil, err
	}
	was, err := open.Stat()
	if err != nil || os.SameFile(now, was) {
		return nil, err
	}
	return os.Open(path)
}
