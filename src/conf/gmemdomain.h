/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomain.h: the two elements and what else of a domain matters to them, stage by stage.
 *
 * Every stage has one duty, as in libvirt: ParseXML only reads, PostParse fills in what an element
 * implies, Validate only refuses, Format only writes. */
#pragma once

/* (The conf part fills this in.) */
