import { queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

/** Where events are sent, and how it goes. */
export interface Webhook {
  id: string;
  url: string;
  description: string;
  types?: string[];
  filter?: string;
  status: 'active' | 'disabled';
  disabledReason?: string;
  failingSince?: string;
  createdAt: string;
  /** Told once, by whoever made it or rotated. */
  secret?: string;
}

/** A delivery that did not succeed at once. */
export interface WebhookDelivery {
  id: string;
  event: { id: string; type: string };
  status: 'retrying' | 'delivered' | 'failed';
  attempts: number;
  response?: number;
  detail: string;
  nextAt?: string;
  lastAt: string;
}

export interface ConsumerGroup {
  group: string;
  lag: number;
  partitions: { partition: number; offset: number; lag: number; owner: string | null }[];
}

export const webhooksQuery = queryOptions({
  queryKey: ['webhooks'],
  queryFn: () => get<Page<Webhook>>('/api/v1/webhooks'),
});

export const webhookDeliveriesQuery = (id: string) =>
  queryOptions({
    queryKey: ['webhooks', id, 'deliveries'],
    queryFn: () => get<Page<WebhookDelivery>>(`/api/v1/webhooks/${id}/deliveries`, { limit: 100 }),
  });

export const consumerGroupsQuery = queryOptions({
  queryKey: ['consumer-groups'],
  queryFn: () => get<Page<ConsumerGroup>>('/api/v1/consumer-groups'),
});
