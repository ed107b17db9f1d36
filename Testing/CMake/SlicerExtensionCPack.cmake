# Slicer's packaging needs no more of an extension than its name.

if("${PROJECT_NAME}" STREQUAL "" OR "${PROJECT_NAME}" MATCHES "^Slicer")
  message(FATAL_ERROR "The extension's name must be set and must not start with Slicer: \"${PROJECT_NAME}\"")
endif()
