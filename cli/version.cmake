# Writes BINARY/generated/version.h from version.h.in.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT COMMIT)
  set(COMMIT unknown)
endif()
configure_file(${SOURCE}/cli/version.h.in ${BINARY}/generated/version.h @ONLY)
